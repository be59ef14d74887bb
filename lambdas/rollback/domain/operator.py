"""Operations of operators on a service's rollbacks: pauses, and other operations with their reasons."""

from dataclasses import dataclass

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.errors import InvalidRequest
from rollback.text import REASON_LIMIT, REQUESTER_LIMIT, one_line


@dataclass(frozen=True)
class Operator:
    """The operator who runs an operation, and the reason.

    Raises:
        InvalidRequest: the reason is empty or too long.
    """

    name: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse an operation without a reason, and bound both texts."""
        if not self.reason.strip():
            raise InvalidRequest('the reason is empty; give a reason with --reason "…"; nothing was changed')
        if len(self.reason) > REASON_LIMIT:
            raise InvalidRequest(
                f"the reason has {len(self.reason)} characters, more than {REASON_LIMIT}; nothing was changed"
            )
        object.__setattr__(self, "name", one_line(self.name, REQUESTER_LIMIT))
        object.__setattr__(self, "reason", one_line(self.reason, REASON_LIMIT))

    def __str__(self) -> str:
        """Operator and reason, for the reason of a state or an outcome."""
        return f"{self.name}: {self.reason.strip()}"


class Pause(BaseModel):
    """A pause: no automatic rollback of this service until an operator resumes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    since: AwareDatetime
    by: str
    reason: str


class OperatorAction(BaseModel):
    """Record of one operation."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    at: AwareDatetime
    verb: str
    subject: str = Field(default="", description="a rollback's id, a release's version, …")
    by: str
    reason: str
