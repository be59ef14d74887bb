"""A refusal for good, as a rollback's document keeps it."""

from pydantic import BaseModel, ConfigDict

from rollback.errors import CallRefused, RefusalKind, RollbackError

_LONGEST = 500


class Refusal(BaseModel):
    """The call that ended a rollback."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    action: str = ""
    resource: str = ""
    kind: str = RefusalKind.REQUEST  # a text: a newer version may know more kinds

    @classmethod
    def of(cls, refused: RollbackError) -> "Refusal":
        """Cut from the error, whose text is the rollback's reason. A service that is gone was refused nothing."""
        if not isinstance(refused, CallRefused):
            return cls(kind=RefusalKind.NOT_FOUND)
        return cls(action=refused.action, resource=refused.resource[:_LONGEST], kind=refused.kind)
