"""Waiting times: before a refused call is repeated, and for a request whose answer was lost."""

from datetime import datetime, timedelta
from math import ceil

from rollback.domain.rollback import Rollback
from rollback.ports.holders import HasSettings
from rollback.resources.database.errors import RetryLater


def seconds_to_wait(later: RetryLater, world: HasSettings) -> int:
    """Return the seconds that the service asked to wait, at least one polling interval."""
    return max(world.settings.policy.poll_seconds, ceil(later.retry_after_seconds or 0))


def change_deadline(announced_at: datetime, lost_answer_seconds: float, world: HasSettings) -> datetime:
    """Return the time by which an announced change of the database was made or never will be.

    Rule 9: the intent is written before the change. The Lambda function that sends the change ends first. A request
    whose answer was lost may still reach Neon after that.
    """
    return announced_at + timedelta(seconds=max(world.settings.policy.database_timeout_seconds, lost_answer_seconds))


def is_conclusion_overdue(rollback: Rollback, now: datetime, world: HasSettings) -> bool:
    """Whether the time to conclude is over: the report lists open obligations, and the janitor sends unsent reports."""
    started = rollback.conclusion_started_at or now
    return now - started > timedelta(minutes=world.settings.policy.conclude_timeout_minutes)
