"""Translation of GitHub's refusals: one error for each status that calls for another action.

GitHub answers 403 or 429 for a rate limit, and 403 for a missing permission. `Retry-After`, `x-ratelimit-remaining: 0`
or the message tell them apart (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
A repository that the credential can't see is 404 (https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api).
"""

from collections.abc import Mapping
from typing import Any

from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.github.errors import Gone, RateLimited
from rollback.text import service_message, without_secret

_UNNAMED_WAIT_SECONDS = 60.0  # "wait for at least one minute before retrying"
_LIMIT_WORDS = ("rate limit", "abuse detection")
_TRANSIENT = frozenset({408, 409, 425})
_MAX_DETAILS = 3


def translate_response(
    what: str,
    repository: str,
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    now: float,
    token: str = "",
) -> ExternalServiceError:
    """Return the error for an answer that is no success.

    Args:
        what: the request, which the error's text names.
        repository: owner/name of the settings.
        status: HTTP status.
        headers: headers of the answer, without regard to case.
        body: `message`, often `errors`.
        now: time in seconds since 1970, to which `x-ratelimit-reset` is compared.
        token: the request's token; an answer may quote it, and the error's text must not.
    """
    message = service_message(without_secret(_message(body), token))
    text = f"GitHub answered {status} to {what}: {message}"
    if status == 429 or (status == 403 and _is_rate_limit(headers, message)):
        seconds = _wait_seconds(headers, now)
        return RateLimited(f"{text}; nothing was done, send it again in {seconds:.0f} s", seconds)
    if status >= 500 or status in _TRANSIENT:
        return ExternalServiceError(f"{text}; {next_after_unknown(what)}")
    kind, remedy = _remedy(status, repository, headers, message)
    refusal = Gone if status == 410 else CallRefused
    return refusal(f"{text}; {remedy}", action=what, resource=repository, kind=kind)


def next_after_unknown(what: str) -> str:
    """Say what to do next after a request whose outcome is not known: only a change can have taken effect.

    Args:
        what: method and path of the request.
    """
    if what.startswith("GET "):
        return "the request only reads: send it again later"
    return "check whether it took effect before sending it again"


def _message(body: Mapping[str, Any]) -> str:
    """Join GitHub's message with its first details; values are left out, since they quote the request."""
    message = str(body.get("message") or "no reason given")
    errors = body.get("errors")
    details = [_detail(error) for error in errors[:_MAX_DETAILS]] if isinstance(errors, list) else []
    return "; ".join([message, *(detail for detail in details if detail)])


def _detail(error: object) -> str:
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return ""
    named = [str(error[name]) for name in ("resource", "field", "code", "message") if error.get(name)]
    return " ".join(named)


def _is_rate_limit(headers: Mapping[str, str], message: str) -> bool:
    is_used_up = headers.get("x-ratelimit-remaining") == "0"
    return "retry-after" in headers or is_used_up or any(words in message.lower() for words in _LIMIT_WORDS)


def _wait_seconds(headers: Mapping[str, str], now: float) -> float:
    retry_after = _number(headers.get("retry-after"))
    if retry_after is not None:
        return max(retry_after, 1.0)
    reset = _number(headers.get("x-ratelimit-reset")) if headers.get("x-ratelimit-remaining") == "0" else None
    return max(reset - now, 1.0) if reset is not None else _UNNAMED_WAIT_SECONDS


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None and text.isascii() and len(text) < 20 else None
    except ValueError:
        return None


def _remedy(status: int, repository: str, headers: Mapping[str, str], message: str) -> tuple[RefusalKind, str]:
    if status == 401:
        return RefusalKind.CREDENTIALS, "the token or key in the secret is wrong, expired or revoked: store a new one"
    if status == 403:
        permissions = headers.get("x-accepted-github-permissions", "")
        needed = f" ({service_message(permissions)})" if permissions else ""
        return RefusalKind.ACCESS, f"give the token or App the permission for this call{needed} on {repository}"
    if status == 404:
        return (
            RefusalKind.NOT_FOUND,
            f"{repository} does not exist, or the credential can't see it: check github.repository, and give the token "
            "or App access to it",
        )
    if status == 410:
        return RefusalKind.REQUEST, f"enable issues in the settings of {repository}, or set github.issue to null"
    if status == 422 and "no commit found" in message.lower():
        return (
            RefusalKind.NOT_FOUND,
            f"{repository} has no such commit: check github.repository and commit_from of the service",
        )
    if 300 <= status < 400:
        return RefusalKind.REQUEST, f"{repository} has moved: set github.repository to its new name"
    return RefusalKind.REQUEST, "the same request would be refused again: correct what GitHub names"
