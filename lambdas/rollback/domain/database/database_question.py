"""The question that Verify, promotion and `rollback verify` ask about the database."""

from pydantic import BaseModel, ConfigDict, Field


class DatabaseQuestion(BaseModel):
    """Question about a release and a branch. It has no secret, and travels as the payload of an invocation."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have sent it

    service: str = Field(description="our name of the service")
    fingerprint: str = Field(description="release whose migration journal is expected")
    has_changed_data: bool = Field(
        default=False, description="whether a rollback changed the data, and so judged the schema by itself"
    )
    branch_id: str | None = Field(default=None, description="Neon's id; None: the branch of the settings")
