"""State of a one-off ECS task."""

import re

from pydantic import BaseModel, ConfigDict

_CREDENTIALS = re.compile(r"://[^/\s@]*@")


class TaskView(BaseModel):
    """Task that a rollback started.

    Attributes:
        command: command of the container, in place of its image's own.
        started: the containers ran; False for a task that ECS could not start.
        exit_code: of the container; None if the container has not ended, or never began.
        reason: ECS's reason why the task stopped.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arn: str
    command: tuple[str, ...]
    is_stopped: bool
    started: bool = False
    exit_code: int | None = None
    reason: str = ""


def without_passwords(line: str) -> str:
    """Remove passwords from a line of a log: tools log the URI to which they failed to connect."""
    return _CREDENTIALS.sub("://…@", line)
