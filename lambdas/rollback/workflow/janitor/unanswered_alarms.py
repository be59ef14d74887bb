"""Decide whether an alarm that stays in ALARM needs another evaluation although CloudWatch sends no event."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.check import Verdict
from rollback.domain.event import DETERIORATION_CHECK
from rollback.domain.ledger.index import PendingEntry, TriggerResultEntry
from rollback.domain.releases.newer_release import DeploymentStatus, latest_deployment
from rollback.errors import ExternalServiceError
from rollback.identity.identify import is_registered_by_rollback
from rollback.leases.holder import find_rollback
from rollback.names import OUTAGE_SUFFIX
from rollback.ports.all_ports import AllPorts

_MAX_CLOCK_SKEW = timedelta(minutes=1)  # between CloudWatch and Lambda
_MAX_ROLLBACK = timedelta(days=1)
_NO_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class UnansweredAlarm:
    """An alarm in ALARM that no rollback has answered.

    Attributes:
        since: time since which the alarm is unanswered. Each such time starts one execution.
        previous_state: the alarm's state before ALARM, for the event.
        reason_suffix: end of the event's reason.
    """

    since: datetime
    previous_state: str
    reason_suffix: str = ""


def find_unanswered_alarm(
    alarm: str, since: datetime, service: str, pending: list[PendingEntry], ports: AllPorts
) -> UnansweredAlarm | None:
    """Return an alarm in ALARM as unanswered; None: the alarm is answered, or may recover by itself.

    The alarm is unanswered if no rollback has decided about the alarm, or if the team deployed a release after the last
    decision. An alarm whose rollback an operator stopped is left to the operator.

    Args:
        alarm: name of the alarm.
        since: when the alarm went into ALARM.
        service: name of the alarm's service.
        pending: the ledger's pending entries of this service.
        ports: access to AWS, Neon and the ledger.
    """
    if not _is_recheck_allowed(alarm, since, service, pending, ports):
        return None
    now, patience = ports.clock.now(), timedelta(minutes=ports.settings.policy.alarm_without_rollback_minutes)
    answers = ports.ledger.trigger_results(service, alarm, since - _MAX_CLOCK_SKEW).items
    if any(answer.rechecked_at is not None and now - answer.rechecked_at < patience for answer in answers):
        return None
    if any(answer.is_aborted_for_good for answer in answers):
        return None
    decided_answers = [answer for answer in answers if answer.is_decided]
    if not decided_answers:
        return UnansweredAlarm(since, _previous_state(alarm, since, ports))
    last_answer_at = max(answer.evaluation_began_at for answer in decided_answers)
    deployment_began_at = _later_deployment_began_at(last_answer_at, service, ports)
    if deployment_began_at is None:
        return None
    reason_suffix = f"; a deployment began at {deployment_began_at:%H:%M:%S} UTC, after the last answer"
    # CloudWatch keeps an alarm's history for 30 days; the ledger keeps the earlier answer longer.
    was_never_ok = any(_is_suppressed_as_no_change(answer, ports) for answer in decided_answers)
    previous_state = _NO_DATA if was_never_ok else _previous_state(alarm, since, ports)
    return UnansweredAlarm(deployment_began_at, previous_state, reason_suffix)


def _is_recheck_allowed(
    alarm: str, since: datetime, service: str, pending: list[PendingEntry], ports: AllPorts
) -> bool:
    """Whether the alarm has lasted long enough, has no recheck planned, and has no known recent cause."""
    now, policy = ports.clock.now(), ports.settings.policy
    if now - since < timedelta(minutes=policy.alarm_without_rollback_minutes):
        return False
    if any(entry.source == f"alarm {alarm}" and entry.recheck_at is not None for entry in pending):
        return False
    settle_time = timedelta(minutes=policy.alarm_settle_minutes)
    changes = ports.ledger.changes(service, now - _MAX_ROLLBACK).items
    if any(change.has_acted and now - (change.concluded_at or now) < settle_time for change in changes):
        return False  # an alarm's period reaches back before the change: the alarm may still recover
    # Every rollback would be refused again. But an emergency needs fewer permissions than a plain rollback used.
    changes_since_alarm = ports.ledger.changes(service, since - _MAX_CLOCK_SKEW).items
    refused_changes = [change for change in changes_since_alarm if change.is_refused]
    return not any(change.is_emergency or not alarm.endswith(OUTAGE_SUFFIX) for change in refused_changes)


def _is_suppressed_as_no_change(answer: TriggerResultEntry, ports: AllPorts) -> bool:
    """Whether Admit suppressed the event because the alarm did not change for the worse.

    After a deployment under such an alarm, `on_insufficient_data_alarm` decides again.
    """
    rollback = find_rollback(answer.rollback_id, ports)
    checks = rollback.admission if rollback is not None else ()
    return any(check.name == DETERIORATION_CHECK and check.verdict is Verdict.FAIL for check in checks)


def _previous_state(alarm: str, since: datetime, ports: AllPorts) -> str:
    """The state before ALARM: INSUFFICIENT_DATA if the alarm was never OK; OK if its history can't be read."""
    try:
        return ports.alarms.state_before(alarm, since - _MAX_CLOCK_SKEW) or "OK"
    except ExternalServiceError:
        return "OK"


def _later_deployment_began_at(answered_at: datetime, service: str, ports: AllPorts) -> datetime | None:
    """When the team's newest deployment began; None if it began before the answer, or still has time to help.

    The deployment may be the fix. A deployment in flight gets the time that `check_no_fix_in_flight` allows. After its
    end, the alarms get the time to settle and to be evaluated.
    """
    latest = latest_deployment(ports.services.describe(ports.settings.service(service)))
    if latest.began_at <= answered_at or is_registered_by_rollback(latest.deployed.definition_arn, ports):
        return None
    policy = ports.settings.policy
    minutes = policy.alarm_settle_minutes + policy.alarm_without_rollback_minutes
    if latest.status is DeploymentStatus.IN_FLIGHT:
        minutes = policy.service_timeout_minutes
    return latest.began_at if ports.clock.now() - latest.began_at > timedelta(minutes=minutes) else None
