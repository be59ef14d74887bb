"""Eventual consistency at a test's request: an operation gives the answer from before the last write.

AWS's control planes answer reads from copies that lag. Two views of one service may lag apart: `DescribeServices` shows
a new PRIMARY deployment before `DescribeServiceDeployments` does, or after it. A test sets how many further answers
repeat the operation's last answer to the same request. Wraps `moto.core.responses.BaseResponse.call_action`.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.core.responses import BaseResponse

_lock = threading.Lock()
_last_answers: dict[tuple[str, str, str], Any] = {}
_active_lags: list["Lag"] = []
_watched: set[tuple[str, str]] = set()


@dataclass
class Lag:
    """A lag of `operation` (`DescribeServices`) of botocore's `service`: so many answers repeat the last one."""

    service: str
    operation: str
    stale_answers: int


def watch(service: str, operation: str) -> None:
    """Remember the operation's answers from now on, one for each distinct request."""
    with _lock:
        _watched.add((service, operation))


def inject(service: str, operation: str, stale_answers: int) -> Lag:
    """Let the next `stale_answers` answers of a watched operation repeat the last answer to the same request.

    A request without an earlier answer gets a true answer, which does not count as stale.

    Raises:
        LookupError: the operation is not watched, so its last answer is unknown.
    """
    if (service, operation) not in _watched:
        raise LookupError(f"{service} {operation} is not watched, so its last answer is unknown: call watch first")
    lag = Lag(service, operation, stale_answers)
    with _lock:
        _active_lags.append(lag)
    return lag


def forget() -> None:
    """Answer truly again, and watch no operation."""
    with _lock:
        _active_lags.clear()
        _last_answers.clear()
        _watched.clear()


def install() -> None:
    """Wrap the present `call_action`. `pagination.uninstall` removes this layer with its own."""
    call_original = BaseResponse.call_action

    def call_action(response: Any) -> Any:
        return _answer(response, call_original)

    BaseResponse.call_action = call_action


def _answer(response: Any, call_original: Callable[[Any], Any]) -> Any:
    if not _watched:
        return call_original(response)
    service, operation = str(response.boto3_service_name), str(response._get_action())
    if (service, operation) not in _watched:
        return call_original(response)
    content = response.normalized_request.get_data()
    key = (service, operation, hashlib.sha256(content).hexdigest())
    with _lock:
        lag = next(
            (lag for lag in _active_lags if (lag.service, lag.operation) == key[:2] and lag.stale_answers > 0), None
        )
        if lag is not None and key in _last_answers:
            lag.stale_answers -= 1
            status, headers, body = _last_answers[key]
            return status, dict(headers), body
    status, headers, body = call_original(response)
    with _lock:
        _last_answers[key] = (status, dict(headers), body)
    return status, headers, body
