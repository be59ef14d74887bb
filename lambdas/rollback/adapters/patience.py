"""Ports that fail fast: within one invocation, a service that gave no answer once is not called again."""

from functools import wraps
from typing import Any, TypeVar, cast

from rollback.errors import CallRefused, ExternalServiceError, Throttled

Port = TypeVar("Port")


def fail_fast_after_silence(port: Port) -> Port:
    """Wrap a port so that every call fails at once after a call without an answer.

    Refusals and throttling are answers. The wrapper remembers the failure, so each invocation makes a new one.
    """
    return cast("Port", _FailFastPort(port))


class _FailFastPort:
    def __init__(self, port: object) -> None:
        self._port = port
        self._silence = ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        @wraps(method)
        def call_or_fail(*arguments: Any, **keywords: Any) -> Any:
            if self._silence:
                raise ExternalServiceError(f"not asked again, since there was no answer a moment ago ({self._silence})")
            try:
                return method(*arguments, **keywords)
            except (CallRefused, Throttled):
                raise
            except ExternalServiceError as failure:
                self._silence = str(failure)
                raise

        return call_or_fail
