"""Step Functions: executions of the state machine."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.errors import NotAvailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# "TaskDoesNotExist" and "TaskTimedOut" of SendTaskSuccess: the wait under this token has ended
# (https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html).
_NO_LONGER_WAITING = frozenset({"TaskDoesNotExist", "TaskTimedOut"})
_CAUSE_CHARACTERS = 32_768  # Step Functions API reference, StopExecution


class StepFunctionsWorkflow:
    """Adapter of one state machine.

    Args:
        workflow_arn: ARN of the state machine. Functions that the state machine runs have None: its definition needs
            their ARNs, so that they can't have its ARN too.
    """

    def __init__(self, client: "SFNClient", workflow_arn: str | None) -> None:
        self._client = client
        self._workflow_arn = workflow_arn

    def start(self, name: str, execution_input: Mapping[str, Any]) -> None:
        """Call StartExecution; the name of an execution is unique for 90 days."""
        if self._workflow_arn is None:
            raise NotAvailable(f"execution {name} can't be started: WORKFLOW_ARN is not set for this function")
        with aws_call("StartExecution", f"{self._workflow_arn} as {name}"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._workflow_arn, name=name, input=json.dumps(execution_input)
                )
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise

    def is_running(self, execution: str) -> bool:
        """Call DescribeExecution."""
        if not execution.startswith("arn:"):
            return False
        with aws_call("DescribeExecution", execution):
            try:
                status = self._client.describe_execution(executionArn=execution)["status"]
            except ClientError as error:
                if code_of(error) == "ExecutionDoesNotExist":
                    return False
                raise
        return status in {"RUNNING", "PENDING_REDRIVE"}

    def stop(self, execution: str, cause: str, error: str = "TakenOver") -> None:
        """Call StopExecution."""
        if not execution.startswith("arn:"):
            return
        with aws_call("StopExecution", execution):
            try:
                self._client.stop_execution(executionArn=execution, error=error, cause=cause[:_CAUSE_CHARACTERS])
            except ClientError as failure:
                if code_of(failure) != "ExecutionDoesNotExist":
                    raise

    def send_task_success(self, token: str) -> bool:
        """Call SendTaskSuccess with an empty output, which the state machine ignores."""
        with aws_call("SendTaskSuccess", "the waiting execution"):
            try:
                self._client.send_task_success(taskToken=token, output="{}")
            except ClientError as error:
                if code_of(error) in _NO_LONGER_WAITING:
                    return False
                raise
        return True
