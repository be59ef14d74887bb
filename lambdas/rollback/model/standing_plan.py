"""The rollback that would be done now, computed ahead of need."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class StandingPlan(BaseModel):
    """Target and its registered definition: one read is all that an emergency needs of the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    version: str
    fingerprint: str
    definition_arn: str
    desired_count: int
    computed_at: AwareDatetime
