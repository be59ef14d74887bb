"""A service of the embedded AWS that is down at a test's request: each call gets 503, and EventBridge delivers nothing.

It is down for everybody: the command line, the functions and the other services. Wraps
`moto.core.responses.BaseResponse.call_action`.
"""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.responses import BaseResponse

from local_cloud.aws_requests import RefusedRequest, error_answer

_lock = threading.Lock()
_down: set[str] = set()


def begin(service: str) -> None:
    """Let every call of a service fail from now on.

    Args:
        service: botocore's name, such as `stepfunctions`.
    """
    with _lock:
        _down.add(service)


def end(service: str) -> None:
    """Let a service answer again; a service that is not down stays as it is."""
    with _lock:
        _down.discard(service)


def is_down(service: str) -> bool:
    """Report whether a service is down."""
    with _lock:
        return service in _down


def forget() -> None:
    """End all outages."""
    with _lock:
        _down.clear()


def install() -> None:
    """Wrap the present `call_action`. `pagination.uninstall` removes this layer with its own."""
    call_original = BaseResponse.call_action

    def call_action(response: Any) -> Any:
        return _answer(response, call_original)

    BaseResponse.call_action = call_action


def _answer(response: Any, call_original: Callable[[Any], Any]) -> Any:
    if not _down or not is_down(str(response.boto3_service_name)):
        return call_original(response)
    return error_answer(response, RefusedRequest("ServiceUnavailable", "the service is down", 503))
