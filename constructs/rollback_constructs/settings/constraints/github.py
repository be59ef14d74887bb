"""Constraints on the settings of GitHub that no single field shows: reports, and the roles of its jobs."""

from collections.abc import Mapping

from rollback.domain.settings.github import GitHubSettings
from rollback_constructs.pipelines.github_actions import GitHubActionsSettings
from rollback_constructs.settings.constraints.database import is_complete_secret_arn


def github_constraints(github: GitHubSettings | None) -> dict[str, bool]:
    """Check the secret's ARN, which IAM compares as a whole.

    Args:
        github: settings of the reports; None: nothing is reported.

    Returns:
        Message about the violation → whether the constraint holds.
    """
    if github is None:
        return {}
    name = "token_secret_arn" if github.app is None else "app.private_key_secret_arn"
    return {
        f"github.{name} is {github.secret_arn!r}; allowed is a complete ARN, which ends with the six characters that "
        "Secrets Manager adds; copy it from there": is_complete_secret_arn(github.secret_arn)
    }


def find_provider_conflict(environments: Mapping[str, GitHubActionsSettings | None]) -> str | None:
    """Name the environments that would each create GitHub's identity provider; None: at most one does.

    IAM allows one provider for a URL in an account. The accounts are often not known at synth, so one environment of
    the whole configuration creates it; in a further account, a configuration of its own does.
    """
    creating = [name for name, settings in environments.items() if settings and settings.creates_oidc_provider]
    if len(creating) < 2:
        return None
    return (
        f"github_actions.creates_oidc_provider is true in {', '.join(creating)}; allowed is one of them, since IAM has "
        "one provider for GitHub in an account"
    )
