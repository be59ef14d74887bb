"""End an execution whose input an operator mistyped: ABORTED, with the error InvalidRequest and the explanation.

An execution that fails pages, by the alarm on ExecutionsFailed. A typo in the console's input is no failure of the
product: the operator reads the cause where the execution was started. So the function stops its own execution. Step
Functions counts a stopped execution as ExecutionsAborted (Step Functions developer guide, "Monitoring Step Functions
metrics using Amazon CloudWatch").

An unusable input of EventBridge, of EventBridge Scheduler or of a pipeline has no reader. Such an execution fails and
pages.
"""

from collections.abc import Mapping
from contextlib import suppress

from rollback.domain.event import is_event
from rollback.domain.health_check import is_health_check
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.names import INVALID_INPUT, SCHEDULER
from rollback.ports.holders import HasWorkflow
from rollback.workflow.recheck_event import find_recheck_rollback_id


def is_typed_by_operator(execution_input: object) -> bool:
    """Whether a person wrote the input, as far as the input shows."""
    if is_event(execution_input) or is_health_check(execution_input):
        return False
    if find_recheck_rollback_id(execution_input) is not None:
        return False
    return not isinstance(execution_input, Mapping) or execution_input.get("requested_by") != SCHEDULER


def end_execution(
    execution_input: object, execution: str, mistake: InvalidRequest, ports: HasWorkflow
) -> dict[str, str]:
    """Stop the execution of a mistyped input.

    Args:
        execution_input: the input.
        execution: ARN of the execution.
        mistake: the explanation for the operator.
        ports: access to Step Functions.

    Returns:
        The cursor to the Fail state, which ends the execution if Step Functions could not stop it.

    Raises:
        InvalidRequest: no operator typed the input; the execution fails and pages.
    """
    if not is_typed_by_operator(execution_input):
        raise mistake
    with suppress(ExternalServiceError):  # else the Fail state ends the execution with the same text, and pages
        ports.workflow.stop(execution, str(mistake), error=InvalidRequest.__name__)
    return {"next": INVALID_INPUT, "summary": str(mistake)}
