"""What is kept of a service between incidents: the rollback that would be done now, and the bake that goes on."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class StandingPlan(BaseModel):
    """Target and its registered definition: one read is all that an emergency needs of the ledger."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    version: str
    fingerprint: str
    definition_arn: str
    desired_count: int
    computed_at: AwareDatetime


class Bake(BaseModel):
    """Since when a deployment has been running settled and without an alarm."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    deployment_id: str
    since: AwareDatetime
