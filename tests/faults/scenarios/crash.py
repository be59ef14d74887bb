"""Fault injector that kills the process before or after each external call of a scenario."""

from collections.abc import Callable, Container
from typing import Any

from support.port_methods import PORTS, access_of, methods

from rollback.effects import Access

# A crash around a read leaves the state of the previous call, so only changes are worth a crash.
EFFECTS = frozenset(
    name for port in PORTS.values() for name, method in methods(port).items() if access_of(method) is Access.CHANGE
)


def crash_points(calls: int) -> list[tuple[int, bool]]:
    """List the crashes of a scenario as (call, whether after it): before the first call, and after each call.

    A crash before a later call is the crash after the call before it.
    """
    return [(1, False), *((at, True) for at in range(1, calls + 1))]


class ProcessKilled(BaseException):
    """Death of the process; a BaseException, so that no `except Exception` catches it."""


class FaultInjector:
    """Counter of the calls that leave the process, which kills the process at one of them."""

    def __init__(self, kill_at: int | None = None, *, after: bool = False) -> None:
        self.calls = 0
        self._kill_at = kill_at
        self._after = after

    def kill_at_call(self, kill_at: int | None, *, after: bool) -> None:
        """Kill the process at that call, counted from now."""
        self.calls, self._kill_at, self._after = 0, kill_at, after

    def restart_process(self) -> None:
        """Run the process again, without a second crash."""
        self._kill_at = None

    def call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make an external call."""
        self.calls += 1
        if self.calls == self._kill_at and not self._after:
            raise ProcessKilled
        result = method(*args, **named)
        if self.calls == self._kill_at:
            raise ProcessKilled
        return result


class CrashingProxy:
    """Proxy of a fake or adapter that may kill the process around each call of a method.

    Args:
        only: names of the methods that may kill it; None means all methods, reads too.
    """

    def __init__(self, real: object, outside: FaultInjector, only: Container[str] | None = EFFECTS) -> None:
        self._real = real
        self._outside = outside
        self._only = only

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if self._only is not None and name not in self._only:
            return method
        return lambda *args, **named: self._outside.call(method, *args, **named)
