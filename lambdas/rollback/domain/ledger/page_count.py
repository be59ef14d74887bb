"""The count of pages about one alarm with one result: the first page is sent at once, the next ones together.

An alarm that flaps three hundred times in a night wakes the operator once, and once more for each further window.
"""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.check import Verdict
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.request import OPERATOR_TRIGGERS, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.names import DESIRED_COUNT_CHECKS


class PageCount(BaseModel):
    """Count of one service's pages about one alarm and result.

    Attributes:
        aggregation_key: key of the count (`aggregation_key`).
        unreported: pages counted since the last one that was sent.
        outcome: outcome that the counted rollbacks share; empty: an older version of the code wrote the count.
        failed_checks: names of the checks that failed in each of them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    aggregation_key: str
    sent_at: AwareDatetime
    total: int = 1
    unreported: int = 0
    last_rollback_id: str
    last_at: AwareDatetime
    version: int = 0
    outcome: str = ""
    failed_checks: tuple[str, ...] = ()

    def is_due(self, now: datetime, minutes: float) -> bool:
        """Whether the counted pages are to be sent now."""
        return self.unreported > 0 and now - self.sent_at >= timedelta(minutes=minutes)

    def with_unsent_page(self, rollback: Rollback, now: datetime) -> "PageCount":
        """A copy with one more page that was not sent."""
        changes = {
            "total": self.total + 1,
            "unreported": self.unreported + 1,
            "last_rollback_id": rollback.id,
            "last_at": now,
        }
        return self.model_copy(update={**changes, "version": self.version + 1})

    def mark_sent(self, now: datetime) -> "PageCount":
        """A copy after a page that reported all counted ones."""
        return self.model_copy(update={"sent_at": now, "unreported": 0, "version": self.version + 1})


def aggregation_key(rollback: Rollback) -> str | None:
    """Name the count that a page belongs to; None: the page is sent by itself.

    Only pages about a trigger whose rollback changed nothing are counted. A rollback that acted, or that left an
    obligation to an operator, gets a page of its own each time.
    """
    has_trigger = is_page(rollback) and rollback.trigger is not Trigger.MANUAL
    if not has_trigger or rollback.event is None or rollback.has_acted or rollback.left_to_operator():
        return None
    source = f"alarm {rollback.event.alarm}" if rollback.event.alarm is not None else "failed deployments"
    return f"{source}: {rollback.result_key}"


def first_page(rollback: Rollback, key: str, now: datetime, last_count: PageCount | None) -> PageCount:
    """The count after a page that is sent now.

    Args:
        rollback: the rollback that the page is about.
        key: its `aggregation_key`.
        now: time of the page.
        last_count: the count until now; None: no page with the same key was sent.
    """
    total, version = (last_count.total + 1, last_count.version + 1) if last_count is not None else (1, 0)
    return PageCount(
        service=rollback.service_name,
        aggregation_key=key,
        sent_at=now,
        total=total,
        last_rollback_id=rollback.id,
        last_at=now,
        version=version,
        outcome=rollback.outcome.value if rollback.outcome is not None else "",
        failed_checks=rollback.failed_check_names,
    )


def is_aggregated(last_count: PageCount | None, now: datetime, minutes: float) -> bool:
    """Whether a page follows another page with the same key so soon that the page is only counted."""
    return last_count is not None and now - last_count.sent_at < timedelta(minutes=minutes)


def in_words(count: PageCount, environment: str) -> tuple[str, str]:
    """Subject and text of the page that reports the counted ones."""
    subject = f"[{environment}] {count.unreported} more rollbacks of {count.service} ended the same way"
    outcome = f": {count.outcome}" if count.outcome else f" as {count.last_rollback_id}"
    failed = f"; failed checks: {', '.join(count.failed_checks)}" if count.failed_checks else ""
    text = (
        f"{count.unreported} more rollbacks of {count.service} ended the same way{outcome}{failed}. The previous page "
        f"was sent at {count.sent_at:%Y-%m-%d %H:%M:%S} UTC, and {count.total} rollbacks have ended so in all. The "
        f"last rollback is {count.last_rollback_id}, at {count.last_at:%H:%M:%S} UTC.\n"
        f"Next:\n  rollback show {environment} {count.last_rollback_id}\n  rollback status {environment}"
    )
    return subject, text


# Outcomes after which an operator has to act: the service was not repaired.
_PAGES = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.ABORTED})


def _has_other_cause(rollback: Rollback) -> bool:
    """Whether a real alarm has another cause than the release; with a desired count of 0 there is no outage."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    failed = {check.name for check in checks if check.verdict is Verdict.FAIL}
    is_outage = "release-is-the-cause" in failed and not failed & DESIRED_COUNT_CHECKS
    return is_outage and rollback.trigger is Trigger.ALARM and rollback.outcome is Outcome.SUPPRESSED


def _has_expired_unseen(rollback: Rollback) -> bool:
    """Whether nobody decided in time about a rollback that no operator started: the service was not repaired."""
    decision = rollback.approval.decision if rollback.approval is not None else None
    is_expired = decision is not None and decision.kind is DecisionKind.EXPIRED
    return is_expired and rollback.outcome is Outcome.REJECTED and rollback.trigger not in OPERATOR_TRIGGERS


def is_page(rollback: Rollback) -> bool:
    """Whether the report wakes an operator: an operator has to act, and nobody reads the result at a terminal."""
    return needs_operator(rollback) and not _is_read_at_terminal(rollback)


def needs_operator(rollback: Rollback) -> bool:
    """Whether an operator has to act, also on a real alarm with another cause, or whose approval expired."""
    if rollback.request.dry_run:  # the requester gets the result
        return False
    if rollback.is_drill:  # a drill that was refused or ended early changed nothing; an alarm watches its age
        return rollback.outcome is Outcome.FAILED or bool(rollback.left_to_operator())
    # A superseded rollback is no page: its successor's report says how it ends.
    is_failure = rollback.outcome in _PAGES and rollback.taken_over_by is None
    has_no_answer = _has_other_cause(rollback) or _has_expired_unseen(rollback)
    return is_failure or bool(rollback.left_to_operator()) or has_no_answer


def _is_read_at_terminal(rollback: Rollback) -> bool:
    """Whether the rollback was refused before it changed anything, and its starter reads the refusal at a terminal.

    A start without a waiting person (`--no-wait`, a schedule, a pipeline) has no reader, so its refusal is paged. So is
    a refusal after an approval: the person at the terminal may have left during the wait.
    """
    is_unchanged = not rollback.has_acted and not rollback.left_to_operator()
    is_refused = rollback.outcome is Outcome.REFUSED and is_unchanged and rollback.approval is None
    return is_refused and rollback.request.is_attended and rollback.trigger is Trigger.MANUAL
