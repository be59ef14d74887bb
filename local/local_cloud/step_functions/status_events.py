"""Status changes of executions: the EventBridge event and the metric of each, and the end of all executions."""

import contextlib
import datetime
import json
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend import execution as moto_execution
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local_cloud.cloudwatch import own_metrics
from local_cloud.events import rules as event_rules
from local_cloud.moto_fixes.step_functions import executions

_stock_start = moto_execution.Execution.start


def install() -> None:
    """Announce each status change from now on. Install `moto_fixes.step_functions.executions` before this."""
    moto_execution.Execution.start = _start
    moto_execution.Execution.stop = _stop
    moto_execution.BaseExecutionWorkerCommunication._reflect_execution_status = _set_final_status


def _start(self: Any) -> None:
    _announce(self, ExecutionStatus.RUNNING)  # before the start: a short execution may end before `start` returns
    _stock_start(self)


def _stop(self: Any, stop_date: datetime.datetime, error: str | None = None, cause: str | None = None) -> None:
    if executions.stop(self, stop_date, error, cause):
        _announce(self, ExecutionStatus.ABORTED)


def _set_final_status(self: Any) -> None:
    if executions.set_final_status(self):
        _announce(self.execution, self.execution.exec_status)


def _announce(execution: Any, status: Any) -> None:
    """Emit `Step Functions Execution Status Change`, and count the change in CloudWatch.

    Detail: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
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
        "redriveStatusReason": "Redrive is not available on the embedded cloud",
    }
    event_rules.emit(
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
    """Abort every running execution, so that no thread outlives the cloud."""
    now = datetime.datetime.now(datetime.UTC)
    for account in list(stepfunctions_parser_backends.values()):
        for backend in list(account.values()):
            for execution in backend._get_executions():
                with contextlib.suppress(AttributeError):  # no status or environment yet: it is about to begin
                    if execution.status == "RUNNING":
                        execution.stop(now, "Local.Stopped", "the embedded cloud stops")
