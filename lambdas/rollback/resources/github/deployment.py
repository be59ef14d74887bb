"""Deployments and their statuses (https://docs.github.com/en/rest/deployments)."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict


class DeploymentState(StrEnum):
    """States of a deployment status."""

    ERROR = "error"
    FAILURE = "failure"
    INACTIVE = "inactive"
    IN_PROGRESS = "in_progress"
    QUEUED = "queued"
    PENDING = "pending"
    SUCCESS = "success"


class Deployment(BaseModel):
    """A deployment of a commit to a GitHub environment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    sha: str
    environment: str
    created_at: AwareDatetime


class DeploymentStatus(BaseModel):
    """A status of a deployment; the newest one counts.

    Attributes:
        log_url: link behind the status; empty: none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: DeploymentState
    description: str = ""
    log_url: str = ""
