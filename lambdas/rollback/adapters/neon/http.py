"""Requests to Neon's API: the key, the timeouts, and which requests may be sent twice.

A request that reads is sent again a few times, a request that changes never: its effect is looked up instead.
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

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 20.0
_CHANGE_SECONDS = 60.0  # restores were seen to take 7 s to be accepted; a lost answer costs more than waiting for it
_ATTEMPTS = 3
_LONGEST_PAUSE_SECONDS = 2.0  # whoever must wait longer does so outside the function
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Query = Mapping[str, str | int | bool]
Json = dict[str, Any]


class NeonHttp:
    """One client for a project's functions; thread-safe, as httpx's client is.

    Args:
        api_key: asked for at every request, so that a rotated key is used; it is neither kept nor shown.
        base_url: Neon's own unless told.
    """

    def __init__(
        self, api_key: Callable[[], str], base_url: str = NEON_API, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=base_url,
            auth=_Key(api_key),
            headers={"User-Agent": "rollback", "Accept": "application/json"},
            # One kept while the function was frozen may be dead, and a change sent on it of unknown outcome.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def read(self, path: str, query: Query | None = None) -> Json:
        """GET; sent up to three times when Neon is out of reach, busy or broken.

        Raises:
            ExternalServiceError: refused, or not answered; which kind says why.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send("GET", path, query, None, changes=False)
            except (RetryLater, _NoResponse, _ServerError) as failure:
                pause = _backoff_seconds(attempt, failure)
                if attempt == _ATTEMPTS or pause > _LONGEST_PAUSE_SECONDS:
                    raise
                self._sleep(pause)
        raise AssertionError("the last attempt either answers or raises")

    def change(self, method: str, path: str, body: Json | None = None) -> Json:
        """POST, PATCH or DELETE; sent once. Empty if Neon answers 204: there is nothing to do.

        Raises:
            OutcomeUnknown: it may have been done.
            RetryLater: it was not, and may be sent again.
            ExternalServiceError: refused; which kind says why.
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
                text = f"{what} got no answer: {_describe_error(error)}; look for its effect before sending it again"
                raise OutcomeUnknown(text) from error
            raise _NoResponse(f"{what} got no answer: {_describe_error(error)}") from error
        return _parse_response(what, answer, changes=changes)


class _Key(httpx.Auth):
    """Puts the key on a request as late as possible."""

    def __init__(self, api_key: Callable[[], str]) -> None:
        self._api_key = api_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        key = self._api_key().strip()
        if not key.isascii() or not key.isprintable() or " " in key:  # httpx would quote it in its error
            raise AccessRefused("the secret with Neon's API key does not hold a key: it must be one line of text")
        request.headers["Authorization"] = f"Bearer {key}"
        yield request


class _NoResponse(ExternalServiceError):
    """A request that only reads got no answer."""


class _ServerError(ExternalServiceError):
    """A request that only reads was answered with a server's error."""


def _parse_response(what: str, answer: httpx.Response, *, changes: bool) -> Json:
    if answer.status_code == 204:
        return {}
    body = _body(answer)
    if answer.is_success and body is not None:
        return body
    if answer.is_success:
        text = f"{what} answered {answer.status_code}, but not with JSON"
        raise OutcomeUnknown(f"{text}; look for its effect") if changes else ExternalServiceError(text)
    error = translate_response(what, answer.status_code, body or {}, _retry_after(answer), changes=changes)
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
    asked = failure.retry_after_seconds if isinstance(failure, RetryLater) else None
    if asked is not None:
        return asked
    return random.uniform(0.1, 0.2) * float(2**attempt)  # noqa: S311 - spreads retries, hides nothing


def _describe_error(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}"
