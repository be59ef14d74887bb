"""Settings of an environment's reports to GitHub: the repository, the credentials, and what is reported."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

GITHUB_API = "https://api.github.com"
_SECRET_ARN = "^arn:aws[a-z-]*:secretsmanager:"  # noqa: S105 - a pattern
ENVIRONMENT, SERVICE = "{environment}", "{service}"


class GitHubApp(BaseModel):
    """A GitHub App that is installed on the repository; its tokens live for an hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app_id: str = Field(pattern="^[A-Za-z0-9.]+$", description="the App's id or client id, from its settings page")
    installation_id: int = Field(gt=0, description="the last number in the URL of the installation's page")
    private_key_secret_arn: str = Field(pattern=_SECRET_ARN, description="secret with the PEM file of the App's key")


class IssueSettings(BaseModel):
    """The issue that reports a rollback.

    Attributes:
        labels: at least one, since issues are found again by the first label. GitHub creates missing labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(default=("rollback",), min_length=1, max_length=10)
    close_on_success: bool = Field(
        default=True, description="whether a success without remaining work closes the issue"
    )
    assignees: tuple[str, ...] = Field(default=(), max_length=10, description="logins; GitHub takes ten at most")

    @model_validator(mode="after")
    def _labels_can_be_searched(self) -> Self:
        for label in self.labels:
            if not 1 <= len(label) <= 50 or "," in label or not label.isprintable() or label != label.strip():
                raise ValueError(f"issue.labels has {label!r}; allowed are 1 to 50 characters without a comma")
        return self


class GitHubSettings(BaseModel):
    """Settings of one repository's reports. Either a token or an App."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}/[A-Za-z0-9._-]{1,100}$", description="owner/name, as in its URL"
    )
    token_secret_arn: str | None = Field(
        default=None, pattern=_SECRET_ARN, description="secret with a fine-grained token of the repository"
    )
    app: GitHubApp | None = Field(default=None, description="a GitHub App, in place of a token")
    api_url: str = Field(
        default=GITHUB_API,
        pattern=r"^(https://[^\s?#@]+|http://(127\.0\.0\.1|localhost):\d+)$",
        description="URL of the API; GitHub Enterprise Server has https://HOST/api/v3",
    )
    deployment_environment: str | None = Field(
        default=None, min_length=1, max_length=255, description="GitHub environment whose deployments get a status"
    )
    commit_status_context: str | None = Field(
        default=f"rollback/{ENVIRONMENT}/{SERVICE}",
        min_length=1,
        max_length=100,
        description="name of the commit's status, unique for environment and service; null: no status",
    )
    issue: IssueSettings | None = Field(default=IssueSettings(), description="null: no issue")

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        if (self.token_secret_arn is None) == (self.app is None):
            raise ValueError("github needs exactly one of token_secret_arn and app")
        return self

    def status_context(self, environment: str, service: str) -> str | None:
        """Name of the commit status for one service; None: no status is set."""
        template = self.commit_status_context
        if template is None:
            return None
        return template.replace(ENVIRONMENT, environment).replace(SERVICE, service)

    @property
    def secret_arn(self) -> str:
        """The secret with the credential."""
        return self.token_secret_arn or (self.app.private_key_secret_arn if self.app is not None else "")

    @property
    def permissions(self) -> dict[str, str]:
        """Permissions that the reports need, by the names that GitHub's API gives them."""
        statuses = "write" if self.commit_status_context is not None else "read"  # a status names the whole SHA
        deployments = {"deployments": "write"} if self.deployment_environment is not None else {}
        issues = {"issues": "write"} if self.issue is not None else {}
        return {"statuses": statuses, **deployments, **issues}
