"""A permanent refusal by AWS, Neon or Postgres, as a rollback's document keeps it."""

from pydantic import BaseModel, ConfigDict

from rollback.errors import CallRefused, RefusalKind, RollbackError

_MAX_RESOURCE_CHARACTERS = 500


class Refusal(BaseModel):
    """The refused call that ended a rollback."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    action: str = ""
    resource: str = ""
    kind: str = RefusalKind.REQUEST  # text, since a newer version may know more kinds

    @classmethod
    def of(cls, refused: RollbackError) -> "Refusal":
        """Make the refusal of an error; the error's text is the rollback's reason. A missing service names no call."""
        if not isinstance(refused, CallRefused):
            return cls(kind=RefusalKind.NOT_FOUND)
        return cls(action=refused.action, resource=refused.resource[:_MAX_RESOURCE_CHARACTERS], kind=refused.kind)
