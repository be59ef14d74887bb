"""Error names as Step Functions raises and catches them."""

from typing import Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

_TERMINAL = {"States.Runtime", "States.DataLimitExceeded"}
"""Errors that no Retry and no Catch on States.ALL or States.TaskFailed sees (AWS: "Handling errors in workflows")."""

_stock_matches = ErrorEqualsDecl._eval_body
_stock_choice = StateChoice._eval_state


def _matches(self: Any, env: Any) -> None:
    if env.stack[-1].error_name in _TERMINAL:
        env.stack.pop()
        env.stack.append(False)
        return
    _stock_matches(self, env)


def _choose(self: Any, env: Any) -> None:
    try:
        _stock_choice(self, env)
    except RuntimeError as error:
        if "No branching option" not in str(error):
            raise
        details = ExecutionFailedEventDetails(
            error="States.NoChoiceMatched", cause=f"No choice rule matched the input of state '{self.name}'"
        )
        raise FailureEventException(
            FailureEvent(
                env=env,
                error_name=StatesErrorName(StatesErrorNameType.StatesNoChoiceMatched),
                event_type=HistoryEventType.ExecutionFailed,
                event_details=EventDetails(executionFailedEventDetails=details),
            )
        ) from error


def install() -> None:
    ErrorEqualsDecl._eval_body = _matches
    StateChoice._eval_state = _choose
    branches_decl.CustomErrorName = ErrorName  # stock refuses a States.* error of a Parallel's branch
