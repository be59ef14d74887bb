"""Constraints on the settings of reports to GitHub that no single field shows."""

from rollback.domain.settings.github import GitHubSettings
from stacks.database_constraints import is_complete_secret_arn


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
