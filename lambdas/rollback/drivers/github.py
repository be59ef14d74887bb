"""Driver of GitHub's API: httpx, and cryptography for the assertions of a GitHub App."""

from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.ports.aws.references import Secrets
from rollback.ports.github import GitHub


def make_github(settings: Settings, secrets: Secrets) -> GitHub:
    """Make the GitHub port.

    Raises:
        InvalidRequest: the environment reports nothing to GitHub.
    """
    from rollback.adapters.github.client import GitHubRepository  # noqa: PLC0415 - httpx takes a while to import
    from rollback.adapters.github.credentials import AppToken, SecretToken  # noqa: PLC0415
    from rollback.adapters.github.http import Credential, GitHubHttp  # noqa: PLC0415

    github = settings.github
    if github is None:
        raise InvalidRequest(f"no GitHub repository is set for {settings.environment}; nothing was changed")

    def read_secret() -> str:
        return secrets.read(github.secret_arn).get_secret_value()

    credential: Credential = SecretToken(read_secret)
    if github.app is not None:
        credential = AppToken(github.app.app_id, github.app.installation_id, read_secret, github.permissions)
    return GitHubRepository(GitHubHttp(credential, github.api_url, github.repository), github.repository)
