"""Everything that can go wrong, as one tree.

RollbackError
├── InvalidRequest      a person's input or an event that can't be understood; nothing was changed
├── Conflict            the ledger moved on since it was read; read again
├── LeaseLost           another rollback holds the lease, or it ran out; stop acting
├── NotAvailable        asked for something this version does not do yet
├── UnsupportedService  the ECS service is gone, inactive, or not deployed by ECS's rolling update
├── UnreadableItem      the ledger has an item that this version of the code can't read
├── StageNotReached     a step needs what an earlier step should have recorded: a defect of ours
└── ExternalServiceError      AWS, Neon or the service answered with an error, or not at all
    ├── CallRefused     the answer is no, and stays no: the same call is not sent again
    └── Throttled       nothing was done, and the same call may be sent again later
"""

from enum import StrEnum

from rollback.text import ERROR_LIMIT, STORED_LIMIT, one_line, several_lines


class RollbackError(Exception):
    """Base of all errors; its text says what was tried, on what, and what to do next.

    Such a text quotes what AWS, Neon or Postgres said: it is cut and cleaned here, for the ledger and for every page.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(several_lines(str(text), STORED_LIMIT))


class InvalidRequest(RollbackError):
    """The input can't be understood. Names the valid values, on one line; nothing was changed."""

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(str(text), ERROR_LIMIT))


class Conflict(RollbackError):
    """A conditional write found another version in the ledger than the one that was read."""


class LeaseLost(RollbackError):
    """The lease on the service is not (or no longer) ours: whoever holds it acts, we must not."""


class NotAvailable(RollbackError):
    """A capability that this version does not have; the text says what to use instead."""


class UnsupportedService(RollbackError):
    """The ECS service can't be rolled back by us: gone, not ACTIVE, or deployed another way. Nothing was changed."""


class UnreadableItem(RollbackError):
    """An item of the ledger can't be read: damaged, or written by a version that is too new. It is left as it is.

    Attributes:
        key: `<partition key> / <sort key>` of the item.
        why: what is wrong with it, in one line, without its values.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"ledger item {key} can't be read: {why}; it was left as it is")
        self.key, self.why = key, why


class StageNotReached(RollbackError):
    """A step needs what an earlier step should have recorded in the rollback: a defect of ours. Nothing was changed."""


class ExternalServiceError(RollbackError):
    """A call to AWS or another service failed or its outcome is unknown: look before sending it again."""


class RefusalKind(StrEnum):
    """Why a call was refused for good; each kind is mended in another way."""

    ACCESS = "access"  # a permission is missing, or a policy denies the call
    CREDENTIALS = "credentials"  # the caller is not known, or no longer
    NOT_FOUND = "not_found"  # a name is wrong, or what it names is gone
    QUOTA = "quota"  # a limit of the account is reached
    REQUEST = "request"  # the request breaks a rule of the service


class CallRefused(ExternalServiceError):
    """AWS, Neon or Postgres refused a call for good: this call changed nothing, and sent again it is refused again.

    An earlier call of the same kind whose answer was lost may still have changed something.

    Attributes:
        action: as a policy names it, `ecs:UpdateService`; empty where no policy decides.
        resource: ARN or name of what the call was about.
        kind: decides what is to be mended.
    """

    def __init__(
        self, text: str, *, action: str = "", resource: str = "", kind: RefusalKind = RefusalKind.REQUEST
    ) -> None:
        super().__init__(text)
        self.action = action
        self.resource = resource
        self.kind = kind


class Throttled(ExternalServiceError):
    """The service asked us to slow down and did nothing: safe to send again."""
