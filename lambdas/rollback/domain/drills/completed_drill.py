"""The record of a successful drill, which the ledger's index keeps beside the documents."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.phases import phases
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback

_DAY_SECONDS = 24 * 60 * 60


class CompletedDrill(BaseModel):
    """A drill that succeeded, with its recovery time."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # derived: an unknown field may be dropped

    rollback_id: str
    scenario: RollbackType
    ended_at: AwareDatetime
    seconds_by_phase: dict[str, float] = Field(default_factory=dict, description="`domain.phases`")

    @property
    def recovery_seconds(self) -> float:
        """Seconds from the start of the drill to the end of its last phase."""
        return sum(self.seconds_by_phase.values())


def completed_drill_of(rollback: Rollback) -> CompletedDrill | None:
    """Build the record; None: the rollback is no drill, is not concluded, or did not succeed."""
    if not rollback.is_drill or rollback.outcome is not Outcome.SUCCEEDED or rollback.concluded_at is None:
        return None
    return CompletedDrill(
        rollback_id=rollback.id,
        scenario=rollback.request.type,
        ended_at=rollback.concluded_at,
        seconds_by_phase=phases(rollback),
    )


def days_since(last_drill: CompletedDrill | None, now: datetime, max_age_days: float) -> float:
    """Return the age of the last successful drill in days.

    Without a successful drill the age is not known. It then counts as one day too many, since missing evidence is no
    evidence that a rollback works.
    """
    if last_drill is None:
        return max_age_days + 1
    return max(0.0, (now - last_drill.ended_at).total_seconds() / _DAY_SECONDS)
