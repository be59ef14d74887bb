"""Eventual consistency as an order: answers of an operation that are of before the last write.

AWS's control planes answer reads from copies that lag behind. Two views of one service may lag apart:
`DescribeServices` shows a new PRIMARY before `DescribeServiceDeployments` does, or after. Nothing here is random and
nothing waits: a test orders how many answers more are what the operation said last to the same request.
Changes `moto.core.responses.BaseResponse.call_action`.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.core.responses import BaseResponse

_lock = threading.Lock()
_last: dict[tuple[str, str, str], Any] = {}
_active_lags: list["Lag"] = []
_watched: set[tuple[str, str]] = set()


@dataclass
class Lag:
    """Answer `operation` (`DescribeServices`) of botocore's `service` so many times more as it did last."""

    service: str
    operation: str
    stale_answers: int


def watch(service: str, operation: str) -> None:
    """Remember what the operation answers from now on, request by request."""
    with _lock:
        _watched.add((service, operation))


def inject(service: str, operation: str, stale_answers: int) -> Lag:
    """From now on `stale_answers` answers of a watched operation are of before: what it said last to the same request.

    A request that was not seen before is answered truly, and is no answer of before. Raises LookupError: not watched.
    """
    if (service, operation) not in _watched:
        raise LookupError(f"{service} {operation} is not watched: what it said before is not known")
    lag = Lag(service, operation, stale_answers)
    with _lock:
        _active_lags.append(lag)
    return lag


def forget() -> None:
    """Answer truly again, and watch nothing."""
    with _lock:
        _active_lags.clear()
        _last.clear()
        _watched.clear()


def install() -> None:
    """Lay the layer over what is there."""
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
            (one for one in _active_lags if (one.service, one.operation) == key[:2] and one.stale_answers > 0), None
        )
        if lag is not None and key in _last:
            lag.stale_answers -= 1
            status, headers, body = _last[key]
            return status, dict(headers), body
    status, headers, body = call_original(response)
    with _lock:
        _last[key] = (status, dict(headers), body)
    return status, headers, body
