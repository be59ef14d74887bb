"""Guards: reasons to leave an automatic trigger alone, each a named check with evidence.

An operator's request is never guarded. The plan's other checks show the operator the objections.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry
from rollback.domain.obligation import OPERATOR, ObligationKind
from rollback.domain.operator import Pause
from rollback.domain.request import OPERATOR_TRIGGERS, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import ReadResult
from rollback.names import DESIRED_COUNT_CHECK, NO_HEALTHY_TARGETS

_COOLDOWN = "cooldown-is-over"
_HISTORY = (_COOLDOWN, "one-step-per-window", "attempt-budget")
_NO_FIX = "no-fix-on-its-way"


def skip_guards_on_takeover(predecessor: Rollback) -> list[Check]:
    """Skip the guards of a takeover: the resumed rollback was guarded when it began, or an operator requested it."""
    reason = f"continues {predecessor.id}; the guards judged {predecessor.id} when it began"
    return [Check.skipped(name, reason) for name in (*_HISTORY, _NO_FIX)]


def check_history(
    rollback: Rollback,
    runs: frozenset[str],
    replaced: frozenset[str],
    earlier: ReadResult[ChangeEntry],
    policy: Policy,
    now: datetime,
) -> list[Check]:
    """Check the service's recent rollbacks: cooldown, one step per window (rule 7), attempt budget.

    Args:
        rollback: the rollback.
        runs: fingerprints of PRIMARY, and of the release to replace (another one if ECS has rolled back already).
        replaced: fingerprints of the release to replace alone.
        earlier: changes of recent rollbacks, newest first. Resumed rollbacks are not counted; an unreadable one counts
            as an attempt.
        policy: the environment's policy.
        now: the present time.
    """
    if rollback.trigger in OPERATOR_TRIGGERS:
        return [Check.skipped(name, "requested by an operator") for name in _HISTORY]
    changes = _without_resumed(rollback, earlier.items)
    acting = [change for change in changes if change.has_acted or _has_acted_unrecorded(change, runs)]
    automatic = [change for change in acting if change.trigger not in OPERATOR_TRIGGERS]
    ids = {change.rollback_id for change in automatic}
    automatic = [change for change in automatic if change.taken_over_by not in ids]  # a takeover is the same attempt
    unreadable_keys = [item.key for item in earlier.unreadable]
    return [
        _cooldown(acting, policy, now),
        _one_step_per_window(automatic, replaced, policy, now),
        _attempt_budget(automatic, unreadable_keys, policy, now),
    ]


def longest_window(policy: Policy) -> timedelta:
    """The longest window of `check_history`."""
    return timedelta(minutes=max(policy.correlation_window_minutes, policy.attempt_window_minutes))


def check_not_paused(rollback: Rollback, pause: Pause | None, policy: Policy, now: datetime) -> Check:
    """Check that no operator has paused automatic rollbacks of the service."""
    name = "not-paused"
    if pause is None or rollback.trigger in OPERATOR_TRIGGERS:
        reason = "requested by an operator" if pause else "automatic rollbacks are on"
        return Check(name=name, verdict=Verdict.SKIPPED if pause else Verdict.PASS, reason=reason)
    reason = f"automatic rollbacks are paused since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by}: {pause.reason}"
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes))


def check_not_left_at_zero(
    rollback: Rollback, desired_count: int, obligations: ReadResult[ObligationsEntry], policy: Policy, now: datetime
) -> Check:
    """Check that no rollback left the service to an operator at zero tasks (rule 3: aborted while fenced, stay fenced).

    Args:
        rollback: the rollback.
        desired_count: the service's desired count.
        obligations: open obligations about the service, of its own rollbacks and of those of other writers.
        policy: the environment's policy.
        now: the present time.
    """
    name, recheck_due_at = "not-left-at-zero", now + timedelta(minutes=policy.recheck_minutes)
    if desired_count > 0 or rollback.trigger in OPERATOR_TRIGGERS:
        return Check.passed(name, "the desired count is above 0, or an operator started the rollback")
    for entry in obligations.items:
        if _is_kept_at_zero_by(entry):
            end = (
                "is not concluded"
                if entry.is_open
                else f"ended ({entry.outcome}), and left the start of the tasks to an operator"
            )
            reason = f"{entry.rollback_id} stopped all tasks of {rollback.service_name}, and {end}: {entry.reason}"
            return _suppress_until(name, reason, recheck_due_at)
    if obligations.unreadable:
        keys = ", ".join(item.key for item in obligations.unreadable)
        reason = f"the desired count is 0, and records that may explain it can't be read: {keys}"
        return _suppress_until(name, reason, recheck_due_at)
    return Check.passed(name, "no rollback left the service at zero tasks")


def _is_kept_at_zero_by(entry: ObligationsEntry) -> bool:
    """Whether a rollback's fence keeps the service at zero. An open rollback of the same service is resumed instead."""
    fences = [obligation for obligation in entry.obligations if obligation.kind is ObligationKind.FENCE]
    if entry.is_open:
        return bool(fences) and entry.rollback_service != entry.service
    return any(obligation.handed_to == OPERATOR for obligation in fences)


def check_desired_count(
    rollback: Rollback, desired_count: int, obligations: ReadResult[ObligationsEntry], policy: Policy, now: datetime
) -> Check:
    """Check that the desired count is above 0: a service that the team scaled to zero has no outage.

    `check_not_left_at_zero` judges a desired count of 0 that a rollback's fence set.

    Args:
        rollback: the rollback.
        desired_count: the service's desired count.
        obligations: open obligations about the service, of its own rollbacks and of those of other writers.
        policy: the environment's policy.
        now: the present time.
    """
    name, recheck_due_at = DESIRED_COUNT_CHECK, now + timedelta(minutes=policy.recheck_minutes)
    evidence = {"desired_count": desired_count}
    if rollback.trigger in OPERATOR_TRIGGERS:
        return Check.skipped(name, "requested by an operator", evidence=evidence)
    if desired_count > 0:
        if rollback.zero_desired_seen_at is None:
            return Check.passed(name, f"the desired count is {desired_count}", evidence=evidence)
        reason = (
            f"the desired count is {desired_count} again, after 0 at {rollback.zero_desired_seen_at:%H:%M:%S} UTC: "
            f"the tasks have {policy.recheck_minutes:g} minutes to start"
        )
        return _suppress_until(name, reason, recheck_due_at, evidence)
    has_fence = any(o.kind is ObligationKind.FENCE for entry in obligations.items for o in entry.obligations)
    if rollback.is_fenced or has_fence or obligations.unreadable:
        return Check.skipped(name, "a rollback stopped the tasks of the service, or may have stopped them")
    reason = f"the desired count of {rollback.service_name} is 0, and no rollback set it to 0"
    return _suppress_until(name, reason, recheck_due_at, evidence)


def check_outage_visible(
    in_alarm: Iterable[str], healthy: Mapping[str, int], desired_count: int, policy: Policy, now: datetime
) -> Check:
    """Check the outage alarm against ELB: with enough healthy targets, the alarm watches other target groups.

    A target group that was mistyped or replaced has no data, which the alarm takes for an outage (rule 11: `outage` may
    be wrong about the release but never mute).

    Args:
        in_alarm: leaf alarms in ALARM.
        healthy: target group of the service → healthy targets, as ELB reports them now.
        desired_count: the service's desired count.
        policy: the environment's policy.
        now: the present time.
    """
    name, alarms = "outage-is-seen", sorted(in_alarm)
    evidence = {"in_alarm": alarms, "healthy": dict(healthy)}
    is_about_missing_targets_only = bool(alarms) and all(
        alarm.endswith(NO_HEALTHY_TARGETS) or NO_HEALTHY_TARGETS + "-" in alarm for alarm in alarms
    )
    if not is_about_missing_targets_only or not healthy or desired_count == 0 or min(healthy.values()) < desired_count:
        reason = (
            "nothing contradicts the alarm"
            if is_about_missing_targets_only
            else "alarms other than those about missing targets confirm the outage, or their states are not known"
        )
        return Check.passed(name, reason, evidence=evidence)
    reason = (
        f"{', '.join(alarms)} sees no healthy target, but ELB reports {min(healthy.values())} or more in every target "
        "group of the service: the alarm watches other target groups, or its period includes earlier minutes"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes), evidence)


def check_no_fix_in_flight(
    rollback: Rollback,
    deployment_began: datetime | None,
    in_alarm_since: datetime | None,
    policy: Policy,
    now: datetime,
) -> Check:
    """Check for a deployment that began after the alarm. Such a deployment may be the team's fix.

    Args:
        rollback: the rollback.
        deployment_began: start of the deployment in flight; None: there is none.
        in_alarm_since: start of ALARM; None: no alarm is the trigger, or its start is not known.
        policy: the environment's policy.
        now: the present time.
    """
    name = _NO_FIX
    if rollback.trigger is not Trigger.ALARM or in_alarm_since is None:
        return Check.skipped(name, "no alarm triggered the rollback")
    if deployment_began is None or deployment_began <= in_alarm_since:
        return Check.passed(name, "no deployment began after the alarm")
    if now - deployment_began > timedelta(minutes=policy.service_timeout_minutes):
        reason = (
            f"a deployment began at {deployment_began:%H:%M:%S} UTC, and did not end the alarm in time: the deployment "
            "is no fix"
        )
        return Check.passed(name, reason)
    reason = (
        f"a deployment began at {deployment_began:%H:%M:%S} UTC, after the alarm at {in_alarm_since:%H:%M:%S} UTC: "
        "the deployment may be the fix, and gets time"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes))


def check_enough_traffic(
    in_alarm: Iterable[str], rates: Iterable[str], requests: float | None, policy: Policy, now: datetime
) -> Check:
    """Check that alarms about error rates and latencies have enough requests to be meaningful.

    Alarms about tasks, targets and logs need no requests.

    Args:
        in_alarm: leaf alarms in ALARM.
        rates: leaf alarms about rates and latencies.
        requests: count in the last `traffic_window_minutes`; None: not known.
        policy: the environment's policy.
        now: the present time.
    """
    name, alarms, rate_alarms = "enough-traffic", sorted(in_alarm), set(rates)
    evidence = {"in_alarm": alarms, "requests": requests}
    if not alarms or not set(alarms) <= rate_alarms:
        return Check.skipped(name, "alarms other than those about rates are in ALARM", evidence=evidence)
    if requests is None or requests >= policy.min_requests_to_judge:
        count = "the number of requests is not known" if requests is None else f"{requests:.0f} requests"
        return Check.passed(name, count, evidence=evidence)
    reason = (
        f"too little traffic to judge: {requests:.0f} requests in {policy.traffic_window_minutes:g} minutes, "
        f"{policy.min_requests_to_judge} are needed"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes), evidence)


def _without_resumed(rollback: Rollback, earlier: Iterable[ChangeEntry]) -> list[ChangeEntry]:
    """Drop this rollback, and the chain of rollbacks that it resumes."""
    others, chain = [], {rollback.id, rollback.continues_rollback_id}
    for change in earlier:
        if change.rollback_id in chain:
            chain.add(change.continues_rollback_id)
        else:
            others.append(change)
    return others


def _has_acted_unrecorded(earlier: ChangeEntry, runs: frozenset[str]) -> bool:
    """Crash recovery: an intent whose target runs was carried out, although the change was not saved."""
    return earlier.has_intent and earlier.target_fingerprint is not None and earlier.target_fingerprint in runs


def _cooldown(acting: list[ChangeEntry], policy: Policy, now: datetime) -> Check:
    """Give the service time to recover from the last rollback; an aborted one needs no time."""
    for change in acting:
        if change.outcome is Outcome.ABORTED:
            continue
        ready_at = (change.concluded_at or now) + timedelta(minutes=policy.cooldown_minutes)
        if now < ready_at:
            reason = (
                f"{change.rollback_id} ended recently: the service has {policy.cooldown_minutes:g} minutes to recover"
            )
            return _suppress_until(_COOLDOWN, reason, ready_at, {"earlier": change.rollback_id})
    return Check.passed(_COOLDOWN, "no rollback ended recently")


def _one_step_per_window(
    automatic: list[ChangeEntry], replaced: frozenset[str], policy: Policy, now: datetime
) -> Check:
    """Rule 7: one automatic step back per window. From there only an operator goes further back.

    The release to replace decides, not PRIMARY: ECS may have rolled the team's next release back to the target of the
    last rollback already. To leave that next release is a first step.
    """
    name, window = "one-step-per-window", timedelta(minutes=policy.correlation_window_minutes)
    for change in automatic:
        is_its_target = change.target_fingerprint is not None and change.target_fingerprint in replaced
        if is_its_target and change.admitted_at >= now - window:
            reason = (
                f"{change.rollback_id} went back to {change.target_version} within the last "
                f"{window.total_seconds() / 60:g} minutes, and the rollback did not help: an operator has to act"
            )
            return Check.failed(name, reason, evidence={"earlier": change.rollback_id})
    return Check.passed(name, "no rollback in the window deployed the release to replace")


def _attempt_budget(automatic: list[ChangeEntry], unreadable_keys: list[str], policy: Policy, now: datetime) -> Check:
    since = now - timedelta(minutes=policy.attempt_window_minutes)
    attempts = [*(change.rollback_id for change in automatic if change.admitted_at >= since), *unreadable_keys]
    evidence = {"attempts": attempts}
    count = f"{len(attempts)} of {policy.attempts_per_window} attempts in {policy.attempt_window_minutes:g} minutes"
    if len(attempts) < policy.attempts_per_window:
        return Check.passed("attempt-budget", count, evidence=evidence)
    reason = f"the attempt budget is spent: {count}; an operator has to act"
    return Check.failed("attempt-budget", reason, evidence=evidence)


def _suppress_until(
    name: str, reason: str, recheck_due_at: datetime, evidence: Mapping[str, object] | None = None
) -> Check:
    return Check.failed(name, reason, evidence=dict(evidence or {}), suppresses=True, recheck_due_at=recheck_due_at)
