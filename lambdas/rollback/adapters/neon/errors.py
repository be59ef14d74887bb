"""Translation of Neon's refusals: one error for each status or text that calls for another action.

Texts are compared only where Neon has one status for several causes. Status 423 is a lock on the whole project. 423,
429 and 503 mean that nothing was done. 524 means that a proxy gave up waiting (Neon's API specification, response
GeneralError).
"""

from collections.abc import Mapping

from rollback.errors import ExternalServiceError, RefusalKind
from rollback.resources.database.errors import (
    AccessRefused,
    AlreadyExists,
    BackupNameRequired,
    BranchHasChildren,
    BranchNotReady,
    BranchProtected,
    NotFound,
    OutcomeUnknown,
    ProjectLocked,
    RequestRefused,
    RetryLater,
)
from rollback.text import service_message

_NOTHING_DONE = frozenset({429, 503})
_TIMED_OUT = frozenset({408, 425})  # Neon's specification has neither; a proxy in front of Neon may send them


def translate_response(
    what: str, status: int, body: Mapping[str, object], retry_after: float | None, *, changes: bool
) -> ExternalServiceError:
    """Return the error for an answer that is no success.

    Args:
        what: the request, which the error's text names.
        status: HTTP status.
        body: body of the answer: `message`, and often an empty `code` and a `request_id`.
        retry_after: seconds to wait, if the answer has them.
        changes: whether the request changes something.
    """
    message = service_message(str(body.get("message") or "no reason given"))
    request = f" (request {body['request_id']})" if body.get("request_id") else ""
    text = f"{what} failed: {status}: {message}{request}"
    if status == 423:
        return ProjectLocked(f"{text}; wait for the project's operations to end", retry_after)
    if status in _NOTHING_DONE:
        return RetryLater(f"{text}; send it again later", retry_after)
    if status in {401, 403}:
        text_with_remedy = f"{text}; check that the API key in the secret is this project's and not revoked"
        return AccessRefused(text_with_remedy, action=what, kind=RefusalKind.ACCESS)
    if status == 404:
        text_with_remedy = f"{text}; check the project and branch ids in the settings"
        return NotFound(text_with_remedy, action=what, kind=RefusalKind.NOT_FOUND)
    if status == 409:
        return AlreadyExists(f"{text}; check whether an earlier request made it")
    if 400 <= status < 500 and status not in _TIMED_OUT:
        return _broken_rule(what, text, message.lower(), retry_after)
    if changes:
        return OutcomeUnknown(f"{text}; the change may have been made: check that before sending it again")
    return ExternalServiceError(text)


def _broken_rule(what: str, text: str, message: str, retry_after: float | None) -> ExternalServiceError:
    if "not ready yet" in message:
        return BranchNotReady(f"{text}; wait for its operations to end", retry_after)
    if "preserve_under_name is required" in message:
        return BackupNameRequired(f"{text}; send it with a name for the backup", action=what)
    if "delete branch that has children" in message:
        return BranchHasChildren(f"{text}; delete the children first", action=what)
    if "protected branch" in message:
        return BranchProtected(f"{text}; remove its protection first, and protect it again afterwards", action=what)
    return RequestRefused(f"{text}; the same request would be refused again: correct what Neon names", action=what)
