"""What people do to a service's rollbacks by hand: pauses, and levers with their reasons."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


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
