"""A change announced in one round, and sent in the next under the lease (rule 9); for every way back but a restore.

What a lost answer was is found by the next look: a strategy clears the intent when it sees that the change was made.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from rollback.database.preflight.context import Restoring
from rollback.domain.database.progress import DatabaseIntent, DatabaseProgress
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, Throttled
from rollback.intents.waiting import wait_for
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import (
    AlreadyExists,
    ComeBackLater,
    OutcomeUnknown,
)
from rollback.resources.database.neon import Operation

Sent = tuple[Sequence[Operation], dict[str, Any]]  # what Neon began, and fields of the progress


def is_announced(progress: DatabaseProgress, action: str) -> bool:
    """Whether it may be sent: its announcement was saved."""
    return progress.intent is not None and progress.intent.action == action


def announced(rollback: Rollback, progress: DatabaseProgress, action: str, world: World, **noted: object) -> Rollback:
    """Write down what the next call will do; `noted`: fields of the progress that hold from then on."""
    intent = DatabaseIntent(action=action, at=world.clock.now())
    return rollback.but(database=progress.adopted().but(intent=intent, **noted), wait_seconds=0)


def send(
    rollback: Rollback,
    progress: DatabaseProgress,
    change: Callable[[], Sent],
    restoring: Restoring,
    world: World,
    **taken_back: object,
) -> Rollback:
    """Send what was announced.

    Args:
        taken_back: fields of the progress as they were before the announcement, for when nothing was done.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        OutsideFailure: see `model.database_errors`.
    """
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    poll = world.settings.policy.poll_seconds
    not_sent = progress.but(intent=None, **taken_back)
    try:
        operations, found = change()
    except (OutcomeUnknown, AlreadyExists):  # the next look tells; until then it may still arrive
        assert progress.intent is not None  # noqa: S101 - announced before
        lost = progress.but(intent=progress.intent.model_copy(update={"at": world.clock.now()}))
        return rollback.but(database=lost, wait_seconds=max(poll, restoring.target.lost_answer_seconds))
    except ComeBackLater as later:
        return rollback.but(database=not_sent, wait_seconds=wait_for(later, world))
    except Throttled:
        return rollback.but(database=not_sent, wait_seconds=poll)
    except CallRefused as refused:
        return rollback.but(database=not_sent.given_up(str(refused), world.clock.now()), wait_seconds=poll)
    ids = (*progress.operation_ids, *(operation.id for operation in operations))
    return rollback.but(database=progress.but(intent=None, operation_ids=ids, **found), wait_seconds=poll)


def may_still_arrive(progress: DatabaseProgress, restoring: Restoring, world: World) -> bool:
    """Whether a change that was announced, and of which nothing is seen yet, may be under way."""
    if progress.intent is None:
        return False
    return world.clock.now() - progress.intent.at < timedelta(seconds=restoring.target.lost_answer_seconds)
