"""The life of an execution: its context object, its end, StopExecution, and the events that tell of its status."""

import contextlib
import datetime
import json
import threading
import time
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.backend import execution as executions
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from local_cloud.cloudwatch import own_metrics
from local_cloud.events import rules as events

_stock_start = executions.Execution.start
_stock_start_details = executions.Execution.get_start_execution_details
_stock_environment = ExecutionWorker._get_evaluation_environment
_stock_reflect = executions.BaseExecutionWorkerCommunication._reflect_execution_status
_stock_set_error = Environment.set_error
_end_lock = threading.Lock()


def _start(self: Any) -> None:
    _announce(self, ExecutionStatus.RUNNING)  # first: a short execution may have ended when stock returns
    _stock_start(self)


def _start_details(self: Any) -> Any:
    details = _stock_start_details(self)
    details.start_time = self.start_date.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return details


def _environment(self: Any) -> Any:
    environment = _stock_environment(self)
    environment.states.context_object.context_object_data["Execution"]["RedriveCount"] = 0
    return environment


def _set_error(self: Any, error: Any) -> None:
    """A task that ends because its execution was stopped or timed out does not make it FAILED."""
    if not isinstance(self._program_state, ProgramStopped | ProgramTimedOut):
        _stock_set_error(self, error)


def _set_final_status(self: Any) -> None:
    with _end_lock:
        if self.execution.exec_status is not ExecutionStatus.RUNNING:
            return
        shadow = _ExecutionEnd(self.execution)
        _stock_reflect(shadow)
        shadow.publish()
    _wake_token_waits(self.execution)
    _announce(self.execution, self.execution.exec_status)


class _ExecutionEnd:
    """Collects what stock sets on the execution, and puts the status last: a reader never sees half an end."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._collected: dict[str, Any] = {}

    @property
    def execution(self) -> "_ExecutionEnd":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self._collected[name] = value

    def publish(self) -> None:
        for name in sorted(self._collected, key=lambda name: name == "exec_status"):
            setattr(self._target, name, self._collected[name])


def _stop(self: Any, stop_date: datetime.datetime, error: str | None = None, cause: str | None = None) -> None:
    _await_environment(self)
    with _end_lock:
        if self.exec_status is not ExecutionStatus.RUNNING:
            return
        self.exec_worker.stop(stop_date=stop_date, cause=cause, error=error)
        self.stop_date, self.error, self.cause = stop_date, error or None, cause or None
        self.exec_status = ExecutionStatus.ABORTED
    _wake_token_waits(self)
    _announce(self, ExecutionStatus.ABORTED)


def _await_environment(execution: Any) -> None:
    """The interpreter's thread makes the environment a moment after StartExecution has answered."""
    deadline = time.monotonic() + 5
    while execution.exec_worker.env is None and time.monotonic() < deadline:
        time.sleep(0.005)


def _wake_token_waits(execution: Any) -> None:
    pending = [execution.exec_worker.env]
    while pending:
        environment = pending.pop()
        pending += list(environment._frames)
        for endpoint in list(environment.callback_pool_manager._pool.values()):
            endpoint.interrupt_all()


def _announce(execution: Any, status: Any) -> None:
    """Emit `Step Functions Execution Status Change`, and count.

    Detail as of https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    own_metrics.count_execution(execution, status.value)
    succeeded = status is ExecutionStatus.SUCCEEDED
    detail = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": execution.name,
        "status": status.value,
        "startDate": _milliseconds(execution.start_date),
        "stopDate": None if status is ExecutionStatus.RUNNING else _milliseconds(execution.stop_date),
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "output": json.dumps(execution.output, separators=(",", ":")) if succeeded else None,
        "outputDetails": {"included": True} if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Redrive is not available on the local cloud",
    }
    events.emit(
        execution.account_id,
        execution.region_name,
        "aws.states",
        "Step Functions Execution Status Change",
        detail,
        [execution.exec_arn],
    )


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def stop_all() -> None:
    """Abort what still runs, so that no thread outlives the cloud."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends  # noqa: PLC0415 (imported by install)

    now = datetime.datetime.now(datetime.UTC)
    for account in list(stepfunctions_parser_backends.values()):
        for backend in list(account.values()):
            for execution in backend._get_executions():
                with contextlib.suppress(AttributeError):  # no status or no environment: it is only about to begin
                    if execution.status == "RUNNING":
                        execution.stop(now, "Local.Stopped", "the local cloud stops")


def install() -> None:
    executions.Execution.start = _start
    executions.Execution.stop = _stop
    executions.Execution.get_start_execution_details = _start_details
    ExecutionWorker._get_evaluation_environment = _environment
    executions.BaseExecutionWorkerCommunication._reflect_execution_status = _set_final_status
    Environment.set_error = _set_error
