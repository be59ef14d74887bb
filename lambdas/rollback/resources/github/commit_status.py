"""Statuses of a commit (https://docs.github.com/en/rest/commits/statuses)."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

DESCRIPTION_LIMIT = 140  # GitHub answers 422: "description is too long (maximum is 140 characters)"


class CommitState(StrEnum):
    """States of a commit status. `error` says that there is no verdict."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class CommitStatus(BaseModel):
    """A status. The newest one of a context is shown at the commit.

    Attributes:
        target_url: link behind the status; empty: none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: CommitState
    context: str
    description: str = ""
    target_url: str = ""
