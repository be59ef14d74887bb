"""Patience in an emergency: who gave no answer once is not asked again in the same invocation."""

from functools import wraps
from typing import Any, TypeVar, cast

from rollback.errors import CallRefused, ExternalServiceError, Throttled

Port = TypeVar("Port")


def fail_fast_after_silence(port: Port) -> Port:
    """The same port, until a call gets no answer: every later call fails at once.

    Refusals and throttling are answers, and came quickly. Made anew for each invocation, since it remembers.
    """
    return cast("Port", _FailFastPort(port))


class _FailFastPort:
    def __init__(self, port: object) -> None:
        self._port = port
        self._silence = ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        @wraps(method)
        def asked(*given: Any, **named: Any) -> Any:
            if self._silence:
                raise ExternalServiceError(f"not asked again, since there was no answer a moment ago ({self._silence})")
            try:
                return method(*given, **named)
            except (CallRefused, Throttled):
                raise
            except ExternalServiceError as failure:
                self._silence = str(failure)
                raise

        return asked
