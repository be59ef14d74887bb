"""The entrances of the route: Admit for every rollback, and an emergency in one invocation."""

from datetime import datetime

from rollback.delivery.events import emit_phases
from rollback.identity.task_definition import with_definition_memo
from rollback.ports.all_ports import AllPorts
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, next_step
from rollback.workflow.step_runner import Cursor, StepRunner, cursor_of

_MAX_EMERGENCY_ROUNDS = 10


def start_rollback(execution_input: object, execution: str, started_at: datetime, ports: AllPorts) -> Cursor:
    """Admit a rollback, emit that it started, and return the cursor to its next step. Arguments as `start_emergency`.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    rollback = admit(execution_input, execution, started_at, ports)
    emit_phases(None, rollback, ports)
    return cursor_of(rollback)


def start_emergency(
    execution_input: object, execution: str, started_at: datetime, ports: AllPorts, runner: StepRunner
) -> Cursor:
    """Admit, plan, and make the first change to ECS in one invocation, with short timeouts.

    A second call continues from the saved document.

    Args:
        execution_input: an operator's input or an EventBridge event, unchanged.
        execution: ARN of the execution.
        started_at: when the execution started.
        ports: access to AWS, Neon and the ledger.
        runner: runner of the steps Emergency and Service.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    fast_ports = with_definition_memo(ports.with_short_timeouts())
    rollback = admit(execution_input, execution, started_at, fast_ports)
    for _ in range(_MAX_EMERGENCY_ROUNDS):
        step = next_step(rollback)
        if step not in (Step.EMERGENCY, Step.SERVICE) or rollback.wait_seconds:
            break
        rollback = runner.run_round(rollback, step, fast_ports)
    emit_phases(None, rollback, fast_ports)
    return cursor_of(rollback)
