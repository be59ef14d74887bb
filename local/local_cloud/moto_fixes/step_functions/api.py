"""Operations of the Step Functions API.

Replaced in moto:
- CreateStateMachine and UpdateStateMachine do not check transitions (see `definition`).
- StartExecution without a name names the execution `None`; AWS makes a UUID.
- SendTaskFailure drops the cause; StopExecution drops error and cause.
- GetExecutionHistory ignores `reverseOrder`, and has no pages.
- DescribeExecution and ListExecutions omit `stopDate` of a TIMED_OUT execution. A text output is written without its
  quotes, and spaces differ.
- DescribeStateMachineForExecution gives the definition of the state machine as it is now, not the execution's own,
  which a running execution keeps (API reference, UpdateStateMachine).
- Errors of the interpreter reach the client without their code.
"""

import datetime
import json
import uuid
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from local_cloud.moto_fixes.step_functions.definition import transition_problems

_stock_validate = StepFunctionsParserBackend._validate_definition
_stock_describe = StepFunctionResponse.describe_execution
_stock_describe_machine = StepFunctionResponse.describe_state_machine_for_execution
_stock_list = StepFunctionResponse.list_executions
_stock_start = StepFunctionsParserBackend.start_execution


def _validate_definition(definition: str) -> None:
    _stock_validate(definition)
    if problems := transition_problems(definition):
        raise api.InvalidDefinition(message=f"Invalid State Machine Definition: '{', '.join(problems)}'")


def _start_execution(self: Any, state_machine_arn: str, name: str | None = None, *rest: Any, **options: Any) -> Any:
    return _stock_start(self, state_machine_arn, name or str(uuid.uuid4()), *rest, **options)


def _send_task_failure(self: Any) -> Any:
    self.stepfunction_backend.send_task_failure(
        self._get_param("taskToken"), error=self._get_param("error"), cause=self._get_param("cause")
    )
    return EmptyResult()


def _stop_execution(self: Any) -> Any:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.datetime.now(datetime.UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _get_execution_history(self: Any) -> Any:
    history = list(self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))["events"])
    if self._get_bool_param("reverseOrder"):
        history.reverse()
    start, size = int(self._get_param("nextToken") or 0), int(self._get_param("maxResults") or 100)
    page = {"events": history[start : start + size]}
    return ActionResult(page | ({"nextToken": str(start + size)} if start + size < len(history) else {}))


def _describe_execution(self: Any) -> Any:
    answer = _stock_describe(self)
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    if execution.status == "SUCCEEDED":
        answer.result["output"] = json.dumps(execution.output, separators=(",", ":"))
    if execution.stop_date:
        answer.result["stopDate"] = execution.stop_date
    return answer


def _describe_machine_of_execution(self: Any) -> Any:
    answer = _stock_describe_machine(self)
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    answer.result.update(definition=execution.state_machine.definition, roleArn=execution.role_arn)
    return answer


def _list_executions(self: Any) -> Any:
    answer = _stock_list(self)
    for entry in answer.result["executions"]:
        if stop_date := self.stepfunction_backend.describe_execution(entry["executionArn"]).stop_date:
            entry["stopDate"] = stop_date
    return answer


def _name_errors() -> None:
    """Give the interpreter's errors the attribute from which moto reads their code."""
    for error in vars(api).values():
        code = getattr(error, "code", None)
        if isinstance(error, type) and issubclass(error, api.ServiceException) and isinstance(code, str):
            setattr(error, "TYPE", code)  # noqa: B010 (mypy knows only that it is a type)


def install() -> None:
    """Replace moto's operations."""
    _name_errors()
    StepFunctionsParserBackend._validate_definition = staticmethod(_validate_definition)
    StepFunctionsParserBackend.start_execution = _start_execution
    StepFunctionResponse.send_task_failure = _send_task_failure
    StepFunctionResponse.stop_execution = _stop_execution
    StepFunctionResponse.get_execution_history = _get_execution_history
    StepFunctionResponse.describe_execution = _describe_execution
    StepFunctionResponse.describe_state_machine_for_execution = _describe_machine_of_execution
    StepFunctionResponse.list_executions = _list_executions
