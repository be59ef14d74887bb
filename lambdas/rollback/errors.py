"""Tree of all errors.

RollbackError
├── InvalidRequest        an operator's input or an event can't be understood; nothing was changed
├── Conflict              the ledger changed since it was read; read again
│   └── LeaseTaken        a rollback took the service's lease since it was read
├── LeaseLost             another rollback holds the lease, or the lease ran out; stop acting
├── NotAvailable          this version lacks the capability
├── UnsupportedService    the ECS service can't be rolled back: it is gone or inactive
│   └── UnsupportedKind   …or of another kind: a daemon, or not deployed by ECS's rolling update
├── UnreadableItem        the ledger has an item that this version of the code can't read
├── StageNotReached       a step needs a value that no earlier step recorded: a defect of the product
└── ExternalServiceError  AWS, Neon or the service answered with an error, or not at all
    ├── CallRefused       the call is refused for good: don't send it again
    └── Throttled         nothing was done, and the same call may be sent again later
"""

from enum import StrEnum

from rollback.text import ERROR_LIMIT, STORED_LIMIT, one_line, several_lines


class RollbackError(Exception):
    """Base of all errors. The text says what was tried, on what, and what to do next.

    The text may quote AWS, Neon or Postgres, so it is cut and cleaned here, for the ledger and for every page.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(several_lines(str(text), STORED_LIMIT))


class InvalidRequest(RollbackError):
    """The input can't be understood. The text names the valid values, on one line. Nothing was changed."""

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(str(text), ERROR_LIMIT))


class Conflict(RollbackError):
    """A conditional write found another version in the ledger than the version that was read."""


class LeaseTaken(Conflict):
    """A rollback took the lease on the service since the lease was read."""


class LeaseLost(RollbackError):
    """The rollback does not (or no longer) hold the lease on the service, so it must not act."""


class NotAvailable(RollbackError):
    """Missing capability of this version; the text says what to use instead."""


class UnsupportedService(RollbackError):
    """The ECS service can't be rolled back: it is gone, not ACTIVE, or deployed another way. Nothing was changed."""


class UnsupportedKind(UnsupportedService):
    """The ECS service exists, and is a daemon or is not deployed by ECS's rolling update. The text says what to do."""


class UnreadableItem(RollbackError):
    """An item of the ledger can't be read: it is damaged, or a newer version wrote it. The item stays as it is.

    Attributes:
        key: `<partition key> / <sort key>` of the item.
        why: defect of the item, in one line, without its values.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"ledger item {key} can't be read: {why}; it was left as it is")
        self.key, self.why = key, why


class StageNotReached(RollbackError):
    """A step needs what an earlier step should have recorded in the rollback: a defect of ours. Nothing was changed."""


class ExternalServiceError(RollbackError):
    """A call to AWS or another service failed, or its outcome is unknown: check its effect before sending it again."""


class RefusalKind(StrEnum):
    """Kinds of refusals, each with another remedy."""

    ACCESS = "access"  # a permission is missing, or a policy denies the call
    CREDENTIALS = "credentials"  # the caller is not (or no longer) known
    NOT_FOUND = "not_found"  # a name is wrong, or the named resource is gone
    QUOTA = "quota"  # a limit of the account is reached
    REQUEST = "request"  # the request breaks a rule of the service


class CallRefused(ExternalServiceError):
    """AWS, Neon or Postgres refused a call for good. The call changed nothing, and a repeated call is refused again.

    An earlier call of the same kind whose answer was lost may still have changed something.

    Attributes:
        action: name in a policy, `ecs:UpdateService`; empty where no policy decides.
        resource: ARN or name of the call's resource.
        kind: decides the remedy.
    """

    def __init__(
        self, text: str, *, action: str = "", resource: str = "", kind: RefusalKind = RefusalKind.REQUEST
    ) -> None:
        super().__init__(text)
        self.action = action
        self.resource = resource
        self.kind = kind


class Throttled(ExternalServiceError):
    """The service throttled the call and did nothing, so the call may be sent again."""
