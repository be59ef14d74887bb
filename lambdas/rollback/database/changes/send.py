"""A change announced in one round, and sent in the next under the lease (rule 9); for every way back but a restore.

What a lost answer was is found by the next look: a strategy clears the intent when it sees that the change was made.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.progress import DatabaseIntent, DatabaseProgress
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, Throttled
from rollback.intents.waiting import seconds_to_wait
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import (
    AlreadyExists,
    OutcomeUnknown,
    RetryLater,
)
from rollback.resources.database.neon import Operation

SendResult = tuple[Sequence[Operation], dict[str, Any]]  # what Neon began, and fields of the progress


def is_announced(progress: DatabaseProgress, action: str) -> bool:
    """Whether it may be sent: its announcement was saved."""
    return progress.intent is not None and progress.intent.action == action


def announce(rollback: Rollback, progress: DatabaseProgress, action: str, world: World, **noted: object) -> Rollback:
    """Write down what the next call will do; `noted`: fields of the progress that hold from then on."""
    intent = DatabaseIntent(action=action, at=world.clock.now())
    return rollback.evolve(database=progress.confirm_intent().evolve(intent=intent, **noted), wait_seconds=0)


def send_announced(
    rollback: Rollback,
    progress: DatabaseProgress,
    change: Callable[[], SendResult],
    restoring: RestoreContext,
    world: World,
    **taken_back: object,
) -> Rollback:
    """Send what was announced.

    Args:
        taken_back: fields of the progress as they were before the announcement, for when nothing was done.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        ExternalServiceError: see `model.database_errors`.
    """
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    poll = world.settings.policy.poll_seconds
    not_sent = progress.evolve(intent=None, **taken_back)
    try:
        operations, found = change()
    except (OutcomeUnknown, AlreadyExists):  # the next look tells; until then it may still arrive
        assert progress.intent is not None  # noqa: S101 - announced before
        lost = progress.evolve(intent=progress.intent.model_copy(update={"at": world.clock.now()}))
        return rollback.evolve(database=lost, wait_seconds=max(poll, restoring.target.lost_answer_seconds))
    except RetryLater as later:
        return rollback.evolve(database=not_sent, wait_seconds=seconds_to_wait(later, world))
    except Throttled:
        return rollback.evolve(database=not_sent, wait_seconds=poll)
    except CallRefused as refused:
        return rollback.evolve(database=not_sent.mark_failed(str(refused), world.clock.now()), wait_seconds=poll)
    ids = (*progress.operation_ids, *(operation.id for operation in operations))
    return rollback.evolve(database=progress.evolve(intent=None, operation_ids=ids, **found), wait_seconds=poll)


def may_still_arrive(progress: DatabaseProgress, restoring: RestoreContext, world: World) -> bool:
    """Whether a change that was announced, and of which nothing is seen yet, may be under way."""
    if progress.intent is None:
        return False
    return world.clock.now() - progress.intent.at < timedelta(seconds=restoring.target.lost_answer_seconds)
