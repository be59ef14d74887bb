"""Progress of the service step, with the change that it announces."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.escalation import EscalationAttempt, EscalationLevel


class Intent(BaseModel):
    """A change that is about to be made (rule 9: the intent is written to the ledger before the change)."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    action: str
    at: AwareDatetime
    arguments: dict[str, Any] = Field(default_factory=dict)


class ServiceProgress(BaseModel):
    """Progress of the service step, which brings the ECS service to the target."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    started_at: AwareDatetime
    escalation_level: EscalationLevel = EscalationLevel.SERVICE
    escalation_level_since: AwareDatetime
    attempts: tuple[EscalationAttempt, ...] = Field(default=(), description="attempts at earlier escalation levels")
    target_definition_arn: str | None = None
    intent: Intent | None = None
    acted_at: AwareDatetime | None = None
    target_since: AwareDatetime | None = Field(default=None, description="when the target was last switched")
    redeployment_forced_at: AwareDatetime | None = Field(
        default=None, description="a stuck deployment is forced once a level"
    )
    restarted_at: AwareDatetime | None = Field(
        default=None, description="when the target was started after a stop at zero"
    )
    reassert_until: AwareDatetime | None = Field(
        default=None, description="rule 9: a call of the rollback that was taken over may still arrive until then"
    )
    moves: tuple[str, ...] = ()
    stop_refused: str = Field(
        default="", description="why ECS refused StopServiceDeployment; the service is updated instead"
    )
    notes: tuple[str, ...] = Field(default=(), description="for the report")
    scaling_maximum: int | None = Field(
        default=None, description="maximum capacity of the scalable target, as last read"
    )
    done_at: AwareDatetime | None = None

    def announce(self, action: str, now: datetime, **fields: Any) -> "ServiceProgress":
        """Record the change that the next round sends.

        Args:
            action: name of the change.
            now: time of the announcement.
            fields: `arguments` of the call, and fields of the progress that hold from the announcement on.
        """
        arguments = fields.pop("arguments", {})
        return self.evolve(intent=Intent(action=action, at=now, arguments=arguments), **fields)

    def add_note(self, note: str) -> "ServiceProgress":
        """Return the progress with a remark for the report; the same remark is added once."""
        return self if note in self.notes else self.evolve(notes=(*self.notes, note))

    def evolve(self, **changes: Any) -> "ServiceProgress":
        """Return a validated copy with some fields changed."""
        return ServiceProgress.model_validate({**dict(self), **changes})
