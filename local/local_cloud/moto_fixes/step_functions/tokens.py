"""Task tokens: SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat, with AWS's errors.

Replaced in moto:
- A used or expired token (TaskTimedOut) is answered like an unknown one (InvalidToken).
- A token can be used twice while its task wakes up.
- An output that is no JSON is taken; AWS answers InvalidOutput.
"""

import json
import threading
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

_lock = threading.Lock()


def _endpoint(backend: Any, token: str) -> Any:
    """Return the endpoint at which a task waits for this token.

    Raises:
        AWSError: InvalidToken for an unknown token, TaskTimedOut for a used one or one whose task has ended.
    """
    for execution in backend._get_executions():
        environment = execution.exec_worker.env
        endpoint = environment.callback_pool_manager.get(token) if environment is not None else None
        if endpoint is None:
            continue
        if execution.status != "RUNNING" or endpoint.consumer_error is not None or endpoint._notify_event.is_set():
            raise AWSError("Task Timed Out: 'Provided task does not exist anymore'", "TaskTimedOut")
        return endpoint
    raise AWSError("Invalid Token: 'Invalid token'", "InvalidToken")


def _send_task_success(self: Any, task_token: str, outcome: str) -> None:
    try:
        json.loads(outcome)
    except ValueError as error:
        raise AWSError(f"Invalid Output: '{error}'", "InvalidOutput") from error
    with _lock:
        _endpoint(self, task_token).notify(CallbackOutcomeSuccess(callback_id=task_token, output=outcome))


def _send_task_failure(self: Any, task_token: str, error: str | None = None, cause: str | None = None) -> None:
    with _lock:
        _endpoint(self, task_token).notify(CallbackOutcomeFailure(callback_id=task_token, error=error, cause=cause))


def _send_task_heartbeat(self: Any, task_token: str) -> None:
    with _lock:
        _endpoint(self, task_token).notify_heartbeat()


def install() -> None:
    """Replace moto's operations."""
    StepFunctionsParserBackend.send_task_success = _send_task_success
    StepFunctionsParserBackend.send_task_failure = _send_task_failure
    StepFunctionsParserBackend.send_task_heartbeat = _send_task_heartbeat
