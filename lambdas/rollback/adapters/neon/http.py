"""HTTP requests to Neon's API: key, timeouts and retries.

A request that reads is retried. A request that changes something is sent once, and its effect is looked up instead.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import httpx

from rollback.adapters.neon.errors import translate_response
from rollback.domain.settings.database import NEON_API
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import AccessRefused, OutcomeUnknown, RetryLater, Unreachable
from rollback.text import without_secret

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 20.0
_CHANGE_SECONDS = 60.0  # Neon took 7 s to accept a restore; a lost answer costs more than the wait
_ATTEMPTS = 3
_SCHEME = "Bearer "
_MAX_PAUSE_SECONDS = 2.0  # a longer pause is made between invocations, not inside the function
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Query = Mapping[str, str | int | bool]
Json = dict[str, Any]


class NeonHttp:
    """HTTP client for a project's functions; thread-safe, as httpx's client is.

    Args:
        api_key: called for every request, so that a rotated key is used; the key is neither kept nor shown.
        base_url: URL of the API; Neon's by default.
    """

    def __init__(
        self, api_key: Callable[[], str], base_url: str = NEON_API, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=base_url,
            auth=_Key(api_key),
            headers={"User-Agent": "rollback", "Accept": "application/json"},
            # A connection kept while Lambda froze the function may be dead; a change on it would have no known outcome.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def read(self, path: str, query: Query | None = None) -> Json:
        """Send a GET request, up to three times while Neon is unreachable, busy or broken.

        Raises:
            ExternalServiceError: Neon refused or gave no answer; the class says why.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send("GET", path, query, None, changes=False)
            except (RetryLater, _NoResponse, _ServerError) as failure:
                pause = _backoff_seconds(attempt, failure)
                if attempt == _ATTEMPTS or pause > _MAX_PAUSE_SECONDS:
                    raise
                self._sleep(pause)
        raise AssertionError("the last attempt either answers or raises")

    def change(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send a POST, PATCH or DELETE request once; an answer 204 (nothing to do) returns an empty body.

        Raises:
            OutcomeUnknown: the change may have been made.
            RetryLater: nothing was done; the request may be sent again.
            ExternalServiceError: Neon refused; the class says why.
        """
        return self._send(method, path, None, body, changes=True)

    def _send(self, method: str, path: str, query: Query | None, body: Json | None, *, changes: bool) -> Json:
        what = f"{method} {path}"
        timeout = httpx.Timeout(_CHANGE_SECONDS if changes else _READ_SECONDS, connect=_CONNECT_SECONDS)
        try:
            answer = self._client.request(method, path, params=query, json=body, timeout=timeout)
        except _NEVER_SENT as error:
            raise Unreachable(f"{what} was not sent: {_describe_error(error)}; send it again later") from error
        except httpx.HTTPError as error:
            if changes:
                text = (
                    f"{what} got no answer: {_describe_error(error)}; check whether it took effect "
                    f"before sending it again"
                )
                raise OutcomeUnknown(text) from error
            raise _NoResponse(f"{what} got no answer: {_describe_error(error)}") from error
        return _parse_response(what, answer, changes=changes)


class _Key(httpx.Auth):
    """Authentication that reads the key as late as possible."""

    def __init__(self, api_key: Callable[[], str]) -> None:
        self._api_key = api_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        key = self._api_key().strip()
        if not key.isascii() or not key.isprintable() or " " in key:  # httpx would quote it in its error
            raise AccessRefused("the secret of Neon's API key holds no key; store the key there as one line of text")
        request.headers["Authorization"] = f"{_SCHEME}{key}"
        yield request


def _key_of(request: httpx.Request) -> str:
    authorization: str = request.headers.get("Authorization", "")
    return authorization.removeprefix(_SCHEME)


class _NoResponse(ExternalServiceError):
    """A request that only reads got no answer."""


class _ServerError(ExternalServiceError):
    """A request that only reads got a server's error."""


def _parse_response(what: str, answer: httpx.Response, *, changes: bool) -> Json:
    if answer.status_code == 204:
        return {}
    body = _body(answer)
    if answer.is_success and body is not None:
        return body
    if answer.is_success:
        text = f"{what} answered {answer.status_code}, but not with JSON"
        raise OutcomeUnknown(f"{text}; check whether it took effect") if changes else ExternalServiceError(text)
    message = without_secret(str((body or {}).get("message") or ""), _key_of(answer.request))
    told = {**(body or {}), "message": message}
    error = translate_response(what, answer.status_code, told, _retry_after(answer), changes=changes)
    raise _ServerError(str(error)) if type(error) is ExternalServiceError else error


def _body(answer: httpx.Response) -> Json | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return float(answer.headers["Retry-After"])
    except (KeyError, ValueError):  # absent, or a date, which Neon does not send
        return None


def _backoff_seconds(attempt: int, failure: ExternalServiceError) -> float:
    requested = failure.retry_after_seconds if isinstance(failure, RetryLater) else None
    if requested is not None:
        return requested
    return random.uniform(0.1, 0.2) * float(2**attempt)  # noqa: S311 - spreads retries, hides nothing


def _describe_error(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}"
