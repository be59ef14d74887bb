"""Errors about a database branch, one class for each cause.

ExternalServiceError
├── OutcomeUnknown              the answer to a change was lost: check its effect before sending it again
├── AlreadyExists               the branch of that name, or its compute; perhaps a request with a lost answer made it
├── CallRefused                 refused for good, by AWS too: AWS has the secret with the API key and runs the tasks
│   ├── AccessRefused           the API key is not known, or may not do this
│   ├── NotFound                no such project, branch, endpoint or operation
│   ├── SessionRefused          no session with the database comes about until an operator mends what the text names
│   ├── QueryFailed             a session came about, but Postgres refused the query, or the address can't be read
│   └── RequestRefused          nothing was changed, and the same request will be refused again
│       ├── BackupNameRequired  a branch with children, or a restore from itself, must keep its state under a name
│       ├── BranchHasChildren   can't be deleted before its children
│       └── BranchProtected     can't be restored or deleted until its protection is removed
└── Throttled
    └── RetryLater           nothing was done; says how many seconds to wait, if Neon said so
        ├── ProjectLocked       an operation runs somewhere in the same project, perhaps in another environment
        ├── BranchNotReady      the branch is still being created or restored
        └── Unreachable         no connection came about, or it was lost with nothing changed
"""

from rollback.errors import CallRefused, ExternalServiceError, Throttled


class OutcomeUnknown(ExternalServiceError):
    """The change may have been made, or be under way: look for its effect before sending it again."""


class AccessRefused(CallRefused):
    """The API key is missing, revoked, or for another project."""


class NotFound(CallRefused):
    """The resource does not (or no longer) exist. It may have been deleted between two calls: observe again."""


class AlreadyExists(ExternalServiceError):
    """A branch of that name already exists, or the branch already has its compute."""


class SessionRefused(CallRefused):
    """Postgres or Neon's proxy refuses the connection for good (`resources.database.connection_failure`)."""


class QueryFailed(CallRefused):
    """Postgres refused a query, or the query took too long; nothing was changed."""


class RequestRefused(CallRefused):
    """The request breaks one of Neon's rules; nothing was changed."""


class BackupNameRequired(RequestRefused):
    """The restore needs a name for the branch that keeps the present state."""


class BranchHasChildren(RequestRefused):
    """The branch has children, which must be deleted or moved first."""


class BranchProtected(RequestRefused):
    """The branch is protected. The caller that removes the protection must restore it."""


class RetryLater(Throttled):
    """Neon did nothing, and the same request may be sent again.

    Attributes:
        retry_after_seconds: wait that Neon asked for; None if its answer has none.
    """

    def __init__(self, text: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ProjectLocked(RetryLater):
    """Another operation runs in the project; Neon allows one at a time."""


class BranchNotReady(RetryLater):
    """The branch is being created or restored."""


class Unreachable(RetryLater):
    """No connection to Neon or Postgres came about, or Postgres ended a session that only read."""
