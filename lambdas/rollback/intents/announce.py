"""Announce a change in the ledger, then send it under the lease (rule 9: the intent is written before the change).

Each change of a service or of a database branch takes two rounds. The first round writes the announcement into the
document. The second round observes again, reads the lease and sends the change. After a crash in between, the next
invocation finds the announcement and observes before it sends.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal, Protocol, Self, TypeVar

from rollback.domain.obligation import Obligation
from rollback.domain.rollback import Rollback
from rollback.leases.hold import assert_lease
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock, HasSettings
from rollback.resources.database.errors import RetryLater

Answer = TypeVar("Answer")


class AnnouncingProgress(Protocol):
    """The part of a document that holds the announcements of one step."""

    def announce(self, action: str, now: datetime, **fields: Any) -> Self:
        """Record the change that the next round sends, with fields that hold from then on."""
        ...


def announce(
    rollback: Rollback,
    part: Literal["service", "database"],
    progress: AnnouncingProgress,
    action: str,
    ports: HasClock,
    *,
    obligations: Iterable[Obligation] = (),
    **fields: object,
) -> Rollback:
    """Announce the change that the next round sends.

    Args:
        rollback: the document.
        part: the document's field that holds the progress.
        progress: the progress of the step.
        action: name of the change.
        ports: gives the time.
        obligations: settings to restore later. Those that are already recorded are dropped: the first value counts.
        fields: fields of the progress that hold from the announcement on.
    """
    announced_progress = progress.announce(action, ports.clock.now(), **fields)
    obligations = (*rollback.obligations, *rollback.keep_unrecorded(obligations))
    return rollback.evolve(**{part: announced_progress}, obligations=obligations, wait_seconds=0)


def send_under_lease(
    rollback: Rollback, send: Callable[[], Answer], ports: LeasePorts, timeout_seconds: float | None = None
) -> Answer:
    """Send an announced change, and read the lease immediately before.

    Args:
        rollback: the document, whose lease is read.
        send: makes the call.
        ports: gives the ledger.
        timeout_seconds: time limit of the Lambda function that sends; by default that of the service function.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
    """
    assert_lease(rollback, ports, timeout_seconds)
    return send()


def has_new_intent(before: Rollback, after: Rollback) -> bool:
    """Whether a step announced a change of the database or its writers. Such a document is saved only under the lease.

    Rule 9: the intent is written before the change.
    """
    intent = after.database.intent if after.database is not None else None
    previous_intent = before.database.intent if before.database is not None else None
    return (intent is not None and intent != previous_intent) or len(after.obligations) > len(before.obligations)


def seconds_to_wait(retry_later: RetryLater, ports: HasSettings) -> int:
    """Return the seconds that Neon or Postgres asked to wait, at least one polling interval."""
    return max(ports.settings.policy.poll_seconds, ceil(retry_later.retry_after_seconds or 0))


def change_deadline(announced_at: datetime, lost_answer_seconds: float, ports: HasSettings) -> datetime:
    """Return the time by which an announced change of the database was made, or will never be made.

    Rule 9: the intent is written before the change. The Lambda function that sends the change ends first. A request
    whose answer was lost may still reach Neon after that.
    """
    return announced_at + timedelta(seconds=max(ports.settings.policy.database_timeout_seconds, lost_answer_seconds))


def is_conclusion_overdue(rollback: Rollback, now: datetime, ports: HasSettings) -> bool:
    """Whether the time to conclude is over: the report lists open obligations, and the janitor sends unsent reports."""
    started = rollback.conclusion_started_at or now
    return now - started > timedelta(minutes=ports.settings.policy.conclude_timeout_minutes)
