"""How long to wait: before a refused call is made again, and for a request whose answer was lost."""

from datetime import datetime, timedelta
from math import ceil

from rollback.domain.rollback import Rollback
from rollback.ports.world import World
from rollback.resources.database.errors import RetryLater


def seconds_to_wait(later: RetryLater, world: World) -> int:
    """Seconds: as long as was asked for."""
    return max(world.settings.policy.poll_seconds, ceil(later.retry_after_seconds or 0))


def change_deadline(announced_at: datetime, lost_answer_seconds: float, world: World) -> datetime:
    """The time by which a change of the database, announced earlier, was made or never will be.

    Rule 9: the function that sends it ends first; a request whose answer was lost may still reach Neon after that.
    """
    return announced_at + timedelta(seconds=max(world.settings.policy.database_timeout_seconds, lost_answer_seconds))


def is_conclusion_overdue(rollback: Rollback, now: datetime, world: World) -> bool:
    """Conclusion must not wait for ever: what is undone by then is in the report; the report is left to the janitor."""
    started = rollback.conclusion_started_at or now
    return now - started > timedelta(minutes=world.settings.policy.conclude_timeout_minutes)
