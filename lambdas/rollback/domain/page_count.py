"""Pages about one alarm with one answer: the first is sent at once, the next are counted and sent as one.

An alarm that flaps three hundred times in a night wakes the operator once, and once more for each further window.
"""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.check import Verdict
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.names import DESIRED_COUNT_CHECK


class PageCount(BaseModel):
    """Pages of one service about one thing. `unreported`: since the last page that was sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    aggregation_key: str
    sent_at: AwareDatetime
    total: int = 1
    unreported: int = 0
    last_rollback_id: str
    last_at: AwareDatetime
    version: int = 0

    def is_due(self, now: datetime, minutes: float) -> bool:
        """Whether the counted pages are to be sent now."""
        return self.unreported > 0 and now - self.sent_at >= timedelta(minutes=minutes)

    def counted(self, rollback: Rollback, now: datetime) -> "PageCount":
        """With one more page that was not sent."""
        more = {
            "total": self.total + 1,
            "unreported": self.unreported + 1,
            "last_rollback_id": rollback.id,
            "last_at": now,
        }
        return self.model_copy(update={**more, "version": self.version + 1})

    def told(self, now: datetime) -> "PageCount":
        """After a page that told of all counted ones."""
        return self.model_copy(update={"sent_at": now, "unreported": 0, "version": self.version + 1})


def aggregation_key(rollback: Rollback) -> str | None:
    """Name the count that a page belongs to; None: it is sent by itself.

    Only pages about a trigger that was answered without any change are counted: a rollback that acted, or that left
    something to an operator, is news each time.
    """
    counted = is_page(rollback) and rollback.event is not None and rollback.trigger is not Trigger.MANUAL
    if not counted or rollback.event is None or rollback.has_acted or rollback.left_to_operator():
        return None
    source = f"alarm {rollback.event.alarm}" if rollback.event.alarm is not None else "failed deployments"
    return f"{source}: {rollback.answer}"


def first_page(rollback: Rollback, now: datetime, before: PageCount | None) -> PageCount:
    """The count after a page that is sent now."""
    name = aggregation_key(rollback)
    assert name is not None  # noqa: S101 - the caller asked
    total, version = (before.total + 1, before.version + 1) if before is not None else (1, 0)
    return PageCount(
        service=rollback.service_name,
        aggregation_key=name,
        sent_at=now,
        total=total,
        last_rollback_id=rollback.id,
        last_at=now,
        version=version,
    )


def is_aggregated(before: PageCount | None, now: datetime, minutes: float) -> bool:
    """Whether a page follows another one of its kind so soon that it is only counted."""
    return before is not None and now - before.sent_at < timedelta(minutes=minutes)


def in_words(count: PageCount, environment: str) -> tuple[str, str]:
    """Subject and text of the page that tells of the counted ones."""
    subject = f"[{environment}] {count.unreported} more rollbacks of {count.service} ended as before"
    text = (
        f"Since the page at {count.sent_at:%Y-%m-%d %H:%M:%S} UTC, {count.unreported} more rollbacks of "
        f"{count.service} "
        f"came to the same answer ({count.aggregation_key}). The last one was {count.last_rollback_id}, at "
        f"{count.last_at:%H:%M:%S} UTC. That makes {count.total} in all. Nothing else is new.\n"
        f"Next:\n  rollback show {environment} {count.last_rollback_id}\n  rollback status {environment}"
    )
    return subject, text


# The outcomes after which somebody has to look: nobody's service was put right.
_PAGES = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.ABORTED})


def _is_left_to_operator(rollback: Rollback) -> bool:
    return bool(rollback.left_to_operator())


def _is_not_the_release(rollback: Rollback) -> bool:
    judged = rollback.plan.checks if rollback.plan is not None else ()
    failed = {c.name for c in judged if c.verdict is Verdict.FAIL}
    cleared = (
        "release-is-the-cause" in failed and DESIRED_COUNT_CHECK not in failed
    )  # no task is wanted: nothing is out
    return cleared and rollback.trigger is Trigger.ALARM and rollback.outcome is Outcome.SUPPRESSED


def is_page(rollback: Rollback) -> bool:
    """Whether a person has to do something; also when an alarm is real and the release is not the cause."""
    if rollback.request.dry_run:  # nothing was to be changed: the answer is for whoever asked
        return False
    ended_badly = rollback.outcome in _PAGES and rollback.superseded_by is None  # else its heir tells how it ends
    return ended_badly or _is_left_to_operator(rollback) or _is_not_the_release(rollback)
