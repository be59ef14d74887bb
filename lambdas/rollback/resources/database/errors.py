"""What can go wrong with a database branch, one error per cause.

ExternalServiceError
├── OutcomeUnknown              a change was sent and its answer lost: look for its effect before sending it again
├── AlreadyExists               a branch of that name, or its compute; perhaps a lost request of ours made it
├── CallRefused                 refused for good: AWS's too, which has the secret with the API key and runs the tasks
│   ├── AccessRefused           the API key is not known, or may not do this
│   ├── NotFound                no such project, branch, endpoint or operation
│   ├── SessionRefused          no session with the database comes about until an operator mends what the text names
│   ├── QueryFailed             a session came about, but Postgres refused the query, or the address can't be read
│   └── RequestRefused          nothing was changed, and the same request will be refused again
│       ├── BackupNameRequired  a branch with children, or a restore from itself, must keep its state under a name
│       ├── BranchHasChildren   can't be deleted before its children
│       └── BranchProtected     can't be restored or deleted until it is un-protected
└── Throttled
    └── RetryLater           nothing was done; says how many seconds to wait, if Neon said so
        ├── ProjectLocked       an operation runs somewhere in the same project, perhaps in another environment
        ├── BranchNotReady      the branch is still being made or restored
        └── Unreachable         no connection came about, or it was lost with nothing changed
"""

from rollback.errors import CallRefused, ExternalServiceError, Throttled


class OutcomeUnknown(ExternalServiceError):
    """The change may have been made, or be under way. Never send it again without looking first."""


class AccessRefused(CallRefused):
    """The API key is missing, revoked, or for another project."""


class NotFound(CallRefused):
    """The resource does not exist (any more). It may have been deleted between two looks: look again."""


class AlreadyExists(ExternalServiceError):
    """There is a branch of that name, or the branch has its compute."""


class SessionRefused(CallRefused):
    """Postgres or Neon's proxy turns the connection away for good (`model.connection_failure`)."""


class QueryFailed(CallRefused):
    """SQL did not tell what was asked; nothing was changed, since it only reads."""


class RequestRefused(CallRefused):
    """The request breaks one of Neon's rules; nothing was changed."""


class BackupNameRequired(RequestRefused):
    """The restore must say under which name the present state is kept."""


class BranchHasChildren(RequestRefused):
    """Delete or move the branch's children first."""


class BranchProtected(RequestRefused):
    """Un-protect the branch first; whoever does must protect it again."""


class RetryLater(Throttled):
    """Nothing was done: the same request may be sent again.

    Attributes:
        retry_after_seconds: what Neon asked for; None if it did not say.
    """

    def __init__(self, text: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ProjectLocked(RetryLater):
    """Another operation runs in the project: Neon allows one at a time."""


class BranchNotReady(RetryLater):
    """The branch is being made or restored."""


class Unreachable(RetryLater):
    """No connection to Neon, or to Postgres, came about; or Postgres ended it, and it only read."""
