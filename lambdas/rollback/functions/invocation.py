"""Parts that all functions share: the log, the names of errors, and the payloads of Step Functions."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, wraps
from typing import Any

from rollback.bootstrap import ports_from_environment
from rollback.drivers.drivers import Drivers
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, Throttled
from rollback.observability.log import InvocationLog
from rollback.observability.observed_ports import Trace, observe_ports
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.route import Step
from rollback.workflow.step_runner import Cursor, StepRunner
from rollback.workflow.unusable_input import end_execution

Payload = dict[str, Any]


@cache
def _log() -> InvocationLog:
    return InvocationLog()


def make_observed_ports(drivers: Drivers, trace: Trace | None = None) -> AllPorts:
    """Make the ports of a function, whose calls are logged.

    Args:
        drivers: factories of the ports that need a client library.
        trace: opens a subsegment of X-Ray around a call; None: no call is traced.

    Raises:
        InvalidRequest: a variable that the stack sets is missing.
    """
    return observe_ports(ports_from_environment(drivers), _log(), trace)


def entry_point(handler: Callable[[Payload, object], Payload]) -> Callable[[Payload, object], Payload]:
    """Raise every external error under one of three names, since Step Functions compares the class name alone.

    Step Functions retries `ExternalServiceError` and `Throttled`, and never `CallRefused`.
    """

    @wraps(handler)
    def call_handler(event: Payload, context: object) -> Payload:
        _log().begin_invocation(event, context)
        try:
            return handler(event, context)
        except ExternalServiceError as failure:
            names: tuple[type[ExternalServiceError], ...] = (Throttled, CallRefused, ExternalServiceError)
            error_class = next(name for name in names if isinstance(failure, name))
            if type(failure) is error_class:
                raise
            raise error_class(f"{type(failure).__name__}: {failure}") from failure

    return call_handler


def run_entrance(
    start: Callable[[object, str, datetime, AllPorts], Cursor], event: Payload, ports: AllPorts
) -> Payload:
    """Run an entrance; a mistyped input of an operator ends the execution without a page.

    Raises:
        InvalidRequest: the input of another starter can't be understood; the execution fails and pages.
    """
    started_at = datetime.fromisoformat(event["started_at"])
    try:
        return _as_payload(start(event["input"], event["execution"], started_at, ports))
    except InvalidRequest as mistake:
        return {**end_execution(event["input"], event["execution"], mistake, ports)}


def run_due_step(event: Payload, runner: StepRunner, ports: AllPorts) -> Payload:
    """Run the due step; the `error` that a Catch added becomes the reason of the failure.

    Raises:
        ExternalServiceError: nothing is lost; Step Functions invokes again (not after `CallRefused`).
        Conflict: another process saved the document, or this function does not run the step.
    """
    cursor = event["cursor"]
    error = cursor.get("error")
    failure = ExecutionFailure.read(error.get("Error"), error.get("Cause")).text if isinstance(error, dict) else None
    return _as_payload(runner.run(cursor["rollback_id"], Step(event["step"]), ports, failure))


def _as_payload(cursor: Cursor) -> Payload:
    return cursor.model_dump(mode="json")
