"""Errors of states: which are raised, and which Retry and Catch see.

Replaced in moto:
- `States.ALL` and `States.TaskFailed` catch States.Runtime and States.DataLimitExceeded.
- A Choice state without a matching rule ends in an internal error; AWS raises States.NoChoiceMatched.
- A comparison with an absent variable is false; AWS raises States.Runtime.
- A `States.…` error of a Parallel state's branch breaks the interpreter.
"""

from typing import Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_variable import ComparisonVariable
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

_TERMINAL = {"States.Runtime", "States.DataLimitExceeded"}
"""Errors that States.ALL and States.TaskFailed do not match (developer guide, "Handling errors in workflows")."""

_PRESENCE = str(ComparisonOperatorType.IsPresent)

_stock_matches = ErrorEqualsDecl._eval_body
_stock_choice = StateChoice._eval_state


def _matches(self: Any, env: Any) -> None:
    if env.stack[-1].error_name in _TERMINAL:
        env.stack.pop()
        env.stack.append(False)
        return
    _stock_matches(self, env)


def _compare(self: Any, env: Any) -> None:
    """Compare a variable. An absent one fails the execution, unless the operator is `IsPresent`.

    Amazon States Language, "Choice State": a Variable whose path does not resolve is an error of the interpreter.
    """
    self.variable.eval(env)
    value = env.stack[-1]
    if isinstance(value, NoSuchVariable) and str(self.comparison_function.operator_type) != _PRESENCE:
        env.stack.pop()
        path = self.variable.string_sampler.literal_value
        raise _failure(
            env,
            StatesErrorNameType.StatesRuntime,
            f"Invalid path '{path}': The choice state's condition path references an invalid value.",
        )
    self.comparison_function.eval(env)


def _failure(env: Any, name: StatesErrorNameType, cause: str) -> FailureEventException:
    details = ExecutionFailedEventDetails(error=name.to_name(), cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(name),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )


def _choose(self: Any, env: Any) -> None:
    try:
        _stock_choice(self, env)
    except RuntimeError as error:
        if "No branching option" not in str(error):
            raise
        cause = f"No choice rule matched the input of state '{self.name}'"
        raise _failure(env, StatesErrorNameType.StatesNoChoiceMatched, cause) from error


def install() -> None:
    """Replace the interpreter's methods."""
    ErrorEqualsDecl._eval_body = _matches
    StateChoice._eval_state = _choose
    ComparisonVariable._eval_body = _compare
    branches_decl.CustomErrorName = ErrorName  # moto's class refuses a States.* error of a branch
