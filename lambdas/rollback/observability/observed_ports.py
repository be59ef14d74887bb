"""Ports whose calls are logged and traced: one proxy for every port, by the markers of its methods.

Only the Lambda functions observe their ports. Direct mode and the other commands keep the terminal quiet.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import Any, TypeVar

from rollback.domain.rollback import Rollback
from rollback.effects import MARK, Access
from rollback.observability.log import InvocationLog
from rollback.observability.safe_arguments import safe_arguments
from rollback.ports.all_ports import AllPorts, OptionalPorts

# A metric is a line of its own, and the clock answers without a call.
_NOT_OBSERVED = frozenset({"settings", "clock", "metrics", "neon_of", "account_and_region"})
_DOCUMENT_CHANGES = frozenset({"create", "save", "reopen"})  # the line about the decision tells of these changes

Ports = TypeVar("Ports", AllPorts, OptionalPorts)
Trace = Callable[[str], AbstractContextManager[None]]


def observe_ports(ports: AllPorts, log: InvocationLog, trace: Trace | None = None) -> AllPorts:
    """Return the same ports, each call of which is traced, and each change logged.

    Args:
        ports: the adapters.
        log: the function's log.
        trace: opens a subsegment around a call, by its name (`observability.traces`); None: no call is traced.
    """
    observer = _Observer(log, trace if trace is not None else _no_trace)
    neon_of, emergency_ports, readiness_ports = ports.neon_of, ports.emergency_ports, ports.readiness_ports
    neon_protocol = AllPorts.__annotations__["neon"]
    return replace(
        _observe_fields(ports, observer),
        neon_of=(lambda settings: _ObservedPort(neon_of(settings), neon_protocol, "neon", observer))
        if neon_of
        else None,
        emergency_ports=(lambda: _observe_fields(emergency_ports(), observer)) if emergency_ports else None,
        readiness_ports=(lambda: _observe_fields(readiness_ports(), observer)) if readiness_ports else None,
    )


@dataclass(frozen=True)
class _Observer:
    log: InvocationLog
    trace: Trace


def _no_trace(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def _observe_fields(ports: Ports, observer: _Observer) -> Ports:
    protocols = type(ports).__annotations__
    observed: dict[str, Any] = {
        port.name: _ObservedPort(getattr(ports, port.name), protocols[port.name], port.name, observer)
        for port in fields(ports)
        if port.name not in _NOT_OBSERVED and isinstance(protocols[port.name], type)
    }
    return replace(ports, **observed)


class _ObservedPort:
    """Proxy of a port. Attributes that the protocol does not mark are the port's own."""

    def __init__(self, port: object, protocol: type, name: str, observer: _Observer) -> None:
        self._port, self._protocol, self._name, self._observer = port, protocol, name, observer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        declared = getattr(self._protocol, name, None)
        access = getattr(declared, MARK, None)
        if access is None:
            return method
        code = getattr(declared, "__code__", None)
        parameters = code.co_varnames[1 : code.co_argcount] if code is not None else ()
        return self._observe(method, name, tuple(parameters), is_change=access is Access.CHANGE)

    def _observe(
        self, method: Callable[..., Any], name: str, parameters: tuple[str, ...], *, is_change: bool
    ) -> Callable[..., Any]:
        call, log, trace = f"{self._name}.{name}", self._observer.log, self._observer.trace

        @wraps(method)
        def observed_call(*positional: Any, **keywords: Any) -> Any:
            began_at, failure = time.monotonic(), ""
            try:
                with trace(call):
                    answer = method(*positional, **keywords)
            except Exception as error:
                failure = type(error).__name__
                raise
            finally:
                if is_change and (failure or name not in _DOCUMENT_CHANGES):
                    milliseconds = round((time.monotonic() - began_at) * 1000)
                    log.write_change(call, safe_arguments(parameters, positional, keywords), milliseconds, failure)
            if isinstance(answer, Rollback):
                log.follow(answer)
                if is_change:
                    log.write_decision(answer)
            return answer

        return observed_call
