"""A one-off ECS task, as the steps see it."""

import re

from pydantic import BaseModel, ConfigDict

_CREDENTIALS = re.compile(r"://[^/\s@]*@")


class TaskView(BaseModel):
    """One task that we started.

    Attributes:
        command: what its container runs in the place of its image's own.
        started: its containers ran; a task that ECS could not start never does.
        exit_code: of the container; None: it has not ended, or never began.
        reason: ECS's, for why it stopped.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arn: str
    command: tuple[str, ...]
    is_stopped: bool
    started: bool = False
    exit_code: int | None = None
    reason: str = ""


def without_passwords(line: str) -> str:
    """A line of a log as it may be told: tools write the address that they failed to connect to."""
    return _CREDENTIALS.sub("://…@", line)
