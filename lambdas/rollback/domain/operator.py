"""What people do to a service's rollbacks by hand: pauses, and levers with their reasons."""

from dataclasses import dataclass

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.errors import InvalidRequest
from rollback.text import REASON_LIMIT, REQUESTER_LIMIT, one_line


@dataclass(frozen=True)
class Operator:
    """Who pulls a lever, and why.

    Raises:
        InvalidRequest: there is no reason, or it is a novel.
    """

    name: str
    reason: str

    def __post_init__(self) -> None:
        """A lever without a reason is not pulled."""
        if not self.reason.strip():
            raise InvalidRequest('the reason is empty; say why with --reason "…", for the record; nothing was changed')
        if len(self.reason) > REASON_LIMIT:
            raise InvalidRequest(
                f"the reason has {len(self.reason)} characters, more than {REASON_LIMIT}; nothing was changed"
            )
        object.__setattr__(self, "name", one_line(self.name, REQUESTER_LIMIT))
        object.__setattr__(self, "reason", one_line(self.reason, REASON_LIMIT))

    def __str__(self) -> str:
        """For reasons of states and outcomes."""
        return f"{self.name}: {self.reason.strip()}"


class Pause(BaseModel):
    """No automatic rollback of this service until a person resumes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    since: AwareDatetime
    by: str
    reason: str


class OperatorAction(BaseModel):
    """One pull of a lever, for the record."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    at: AwareDatetime
    verb: str
    subject: str = Field(default="", description="a rollback's id, a release's version, …")
    by: str
    reason: str
