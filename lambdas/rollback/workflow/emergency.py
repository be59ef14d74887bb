"""Emergency: admitted, planned and deployed in one invocation."""

from collections.abc import Callable
from datetime import datetime

from rollback.domain.rollback import Rollback
from rollback.ports.world import World
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, next_step

RunRound = Callable[[Rollback, Step, World], Rollback]
_MOST_ROUNDS = 10


def start_emergency_rollback(
    given: object, execution: str, started_at: datetime, world: World, run_round: RunRound
) -> Rollback:
    """Admit, plan, and make the first change to ECS; called again, continue where the document stands.

    Args:
        given: an operator's input or an EventBridge event, unchanged.
        execution: ARN of the execution.
        started_at: when the execution started.
        world: the ports.
        run_round: runs one round of a step and saves it.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    rollback = admit(given, execution, started_at, world)
    for _ in range(_MOST_ROUNDS):
        step = next_step(rollback)
        if step not in (Step.EMERGENCY, Step.SERVICE) or rollback.wait_seconds:
            break
        rollback = run_round(rollback, step, world)
    return rollback
