"""The beginning and the end of an execution.

Replaced in moto:
- `$$.Execution.StartTime` is no ISO text, and `$$.Execution.RedriveCount` is missing.
- StopExecution loses error and cause, and leaves the execution RUNNING while a task waits for a token.
- A task that ends since its execution was stopped or timed out turns the execution FAILED.
- A reader sees half an end: moto sets the stop date, then the status, then the output.
"""

import datetime
import threading
import time
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.backend import execution as executions
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

_ENVIRONMENT_SECONDS = 5.0
_stock_start_details = executions.Execution.get_start_execution_details
_stock_environment = ExecutionWorker._get_evaluation_environment
_stock_reflect = executions.BaseExecutionWorkerCommunication._reflect_execution_status
_stock_set_error = Environment.set_error
_end_lock = threading.Lock()


def install() -> None:
    """Replace moto's methods. Repeated calls change nothing."""
    executions.Execution.stop = stop
    executions.Execution.get_start_execution_details = _start_details
    ExecutionWorker._get_evaluation_environment = _environment
    executions.BaseExecutionWorkerCommunication._reflect_execution_status = set_final_status
    Environment.set_error = _set_error


def _start_details(self: Any) -> Any:
    details = _stock_start_details(self)
    details.start_time = self.start_date.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return details


def _environment(self: Any) -> Any:
    environment = _stock_environment(self)
    environment.states.context_object.context_object_data["Execution"]["RedriveCount"] = 0
    return environment


def _set_error(self: Any, error: Any) -> None:
    """Record an error, unless the execution was stopped or timed out."""
    if not isinstance(self._program_state, ProgramStopped | ProgramTimedOut):
        _stock_set_error(self, error)


def set_final_status(self: Any) -> bool:
    """Give an execution the status of its interpreter's end; return whether this call ended it."""
    with _end_lock:
        if self.execution.exec_status is not ExecutionStatus.RUNNING:
            return False
        end = _ExecutionEnd(self.execution)
        _stock_reflect(end)
        end.publish()
    _wake_token_waits(self.execution)
    return True


class _ExecutionEnd:
    """Collects what moto sets on the execution, and sets the status last: a reader never sees half an end."""

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


def stop(self: Any, stop_date: datetime.datetime, error: str | None = None, cause: str | None = None) -> bool:
    """Abort an execution; return whether this call ended it."""
    _await_environment(self)
    with _end_lock:
        if self.exec_status is not ExecutionStatus.RUNNING:
            return False
        self.exec_worker.stop(stop_date=stop_date, cause=cause, error=error)
        self.stop_date, self.error, self.cause = stop_date, error or None, cause or None
        self.exec_status = ExecutionStatus.ABORTED
    _wake_token_waits(self)
    return True


def _await_environment(execution: Any) -> None:
    """Wait for the interpreter's thread, which makes the environment shortly after StartExecution's answer."""
    deadline = time.monotonic() + _ENVIRONMENT_SECONDS
    while execution.exec_worker.env is None and time.monotonic() < deadline:
        time.sleep(0.005)


def _wake_token_waits(execution: Any) -> None:
    pending = [execution.exec_worker.env]
    while pending:
        environment = pending.pop()
        pending += list(environment._frames)
        for endpoint in list(environment.callback_pool_manager._pool.values()):
            endpoint.interrupt_all()
