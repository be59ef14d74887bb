"""Ports whose calls are logged and traced: one proxy for every port, by the markers of its methods.

Only the Lambda functions observe their ports. Direct mode and the other commands keep the terminal quiet.
"""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import wraps
from typing import Any, TypeVar

from rollback.domain.rollback import Rollback
from rollback.effects import MARK, Access
from rollback.observability.log import InvocationLog
from rollback.observability.safe_arguments import safe_arguments
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts, OptionalPorts

# A metric is a line of its own, and the clock answers without a call.
_NOT_OBSERVED = frozenset({"settings", "clock", "metrics", "neon_of", "account_and_region"})
_DOCUMENT_CHANGES = frozenset({"create", "save", "reopen"})  # the line about the decision tells of these changes

Ports = TypeVar("Ports", AllPorts, OptionalPorts)


def observe_ports(ports: AllPorts, log: InvocationLog) -> AllPorts:
    """Return the same ports, each call of which is traced, and each change logged."""
    neon_of, emergency_ports, readiness_ports = ports.neon_of, ports.emergency_ports, ports.readiness_ports
    neon_protocol = AllPorts.__annotations__["neon"]
    return replace(
        _observe_fields(ports, log),
        neon_of=(lambda settings: _ObservedPort(neon_of(settings), neon_protocol, "neon", log)) if neon_of else None,
        emergency_ports=(lambda: _observe_fields(emergency_ports(), log)) if emergency_ports else None,
        readiness_ports=(lambda: _observe_fields(readiness_ports(), log)) if readiness_ports else None,
    )


def _observe_fields(ports: Ports, log: InvocationLog) -> Ports:
    protocols = type(ports).__annotations__
    observed: dict[str, Any] = {
        port.name: _ObservedPort(getattr(ports, port.name), protocols[port.name], port.name, log)
        for port in fields(ports)
        if port.name not in _NOT_OBSERVED and isinstance(protocols[port.name], type)
    }
    return replace(ports, **observed)


class _ObservedPort:
    """Proxy of a port. Attributes that the protocol does not mark are the port's own."""

    def __init__(self, port: object, protocol: type, name: str, log: InvocationLog) -> None:
        self._port, self._protocol, self._name, self._log = port, protocol, name, log

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
        call, log = f"{self._name}.{name}", self._log

        @wraps(method)
        def observed_call(*positional: Any, **keywords: Any) -> Any:
            began_at, failure = time.monotonic(), ""
            try:
                with trace_call(call):
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
