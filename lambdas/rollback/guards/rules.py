"""Knowing when not to act: reasons for which an automatic trigger is left alone, each a named check with evidence.

What a person asks for is never guarded here; they are told by Plan's other checks what stands against it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.ledger_index import ChangeEntry, ObligationsEntry
from rollback.domain.operator import Pause
from rollback.domain.request import OPERATOR_TRIGGERS, Trigger
from rollback.domain.rollback import OPERATOR, ObligationKind, Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import ReadResult
from rollback.names import DESIRED_COUNT_CHECK, NO_HEALTHY_TARGETS

_HISTORY = ("cooldown", "one-step-per-window", "attempt-budget")
_NO_FIX = "no-fix-on-its-way"


def skip_guards_on_takeover(earlier: Rollback) -> list[Check]:
    """What is going on was guarded when it began, or asked for by a person: whoever takes it over must not drop it."""
    reason = f"goes on with {earlier.id}, which was judged when it began"
    return [Check.skipped(name, reason) for name in (*_HISTORY, _NO_FIX)]


def check_history(
    rollback: Rollback, runs: frozenset[str], earlier: ReadResult[ChangeEntry], policy: Policy, now: datetime
) -> list[Check]:
    """What the service's last rollbacks say about another one.

    Args:
        runs: fingerprints of what PRIMARY runs and of what would be left (another, if ECS has gone back already).
        earlier: what its rollbacks of the windows changed, newest first; those that this one goes on with are not
            counted. One that can't be read counts as an attempt.
    """
    if rollback.trigger in OPERATOR_TRIGGERS:
        return [Check.skipped(name, "asked for by a person") for name in _HISTORY]
    acted = [r for r in _without_own(rollback, earlier.items) if r.has_acted or _has_acted_unrecorded(r, runs)]
    automatic = [r for r in acted if r.trigger not in OPERATOR_TRIGGERS]
    heirs = {one.rollback_id for one in automatic}
    automatic = [one for one in automatic if one.superseded_by not in heirs]  # one attempt, however many walked it
    unreadable = [one.key for one in earlier.unreadable]
    return [
        _cooldown(acted, policy, now),
        _one_step_per_window(automatic, runs, policy, now),
        _attempt_budget(automatic, unreadable, policy, now),
    ]


def longest_window(policy: Policy) -> timedelta:
    """How far back `check_history` looks."""
    return timedelta(minutes=max(policy.correlation_window_minutes, policy.attempt_window_minutes))


def check_not_paused(rollback: Rollback, pause: Pause | None, policy: Policy, now: datetime) -> Check:
    """An operator's word stands above every alarm."""
    name = "not-paused"
    if pause is None or rollback.trigger in OPERATOR_TRIGGERS:
        reason = "asked for by a person" if pause else "automatic rollbacks are on"
        return Check(name=name, verdict=Verdict.SKIPPED if pause else Verdict.PASS, reason=reason)
    reason = f"automatic rollbacks are paused since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by}: {pause.reason}"
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes))


def check_not_left_at_zero(
    rollback: Rollback, desired_count: int, owed: ReadResult[ObligationsEntry], policy: Policy, now: datetime
) -> Check:
    """Rule 3: what a rollback left to a person at zero tasks stays there, until a person puts it back.

    Args:
        owed: what rollbacks of it, and of services that write to the same database, have not put back on it.
    """
    name, again = "not-left-at-zero", now + timedelta(minutes=policy.recheck_minutes)
    if desired_count > 0 or rollback.trigger in OPERATOR_TRIGGERS:
        return Check.passed(name, "tasks are wanted, or a person wants them")
    for one in owed.items:
        if _is_kept_at_zero_by(one):
            how = "is not concluded" if one.is_open else f"ended ({one.outcome}), and left that to a person"
            reason = f"{one.rollback_id} stopped all tasks of {rollback.service_name}, and {how}: {one.reason}"
            return _suppress_until(name, reason, again)
    if owed.unreadable:
        keys = ", ".join(one.key for one in owed.unreadable)
        reason = f"no task is wanted, and whether a rollback left that to a person can't be read: {keys}"
        return _suppress_until(name, reason, again)
    return Check.passed(name, "no rollback was left at zero tasks")


def _is_kept_at_zero_by(one: ObligationsEntry) -> bool:
    """Whether a fence of that rollback keeps the service at zero; an open one of its own service is gone on with."""
    fences = [o for o in one.obligations if o.kind is ObligationKind.FENCE]
    if one.is_open:
        return bool(fences) and one.rollback_service != one.service
    return any(o.handed_to == OPERATOR for o in fences)


def check_desired_count(
    rollback: Rollback, desired_count: int, owed: ReadResult[ObligationsEntry], policy: Policy, now: datetime
) -> Check:
    """A service at zero tasks by the team's will is not out: nothing is started, and nothing is condemned.

    A fence of ours is not the team's will; `check_not_left_at_zero` judges that one.

    Args:
        owed: what rollbacks of it, and of services that write to the same database, have not put back on it.
    """
    name, again = DESIRED_COUNT_CHECK, now + timedelta(minutes=policy.recheck_minutes)
    evidence = {"desired_count": desired_count}
    if rollback.trigger in OPERATOR_TRIGGERS:
        return Check.skipped(name, "asked for by a person", evidence=evidence)
    if desired_count > 0:
        if rollback.zero_desired_seen_at is None:
            return Check.passed(name, f"{desired_count} tasks are wanted", evidence=evidence)
        reason = (
            f"{desired_count} tasks are wanted again; at {rollback.zero_desired_seen_at:%H:%M:%S} UTC none was: "
            f"they are given "
            f"{policy.recheck_minutes:g} minutes to start"
        )
        return _suppress_until(name, reason, again, evidence)
    is_fenced = rollback.is_fenced or any(o.kind is ObligationKind.FENCE for one in owed.items for o in one.obligations)
    if is_fenced or owed.unreadable:
        return Check.skipped(name, "a rollback stopped its tasks, or may have")
    reason = f"no task of {rollback.service_name} is wanted: its desired count is 0, and no rollback made it so"
    return _suppress_until(name, reason, again, evidence)


def check_outage_visible(
    red: Iterable[str], healthy: Mapping[str, int], desired_count: int, policy: Policy, now: datetime
) -> Check:
    """An alarm that sees no healthy target, of a service whose target groups have all that they want, watches others.

    A target group that was mistyped, or replaced, has no data, which the alarm takes for an outage (rule 11).

    Args:
        red: leaf alarms in ALARM.
        healthy: target group that ECS names for the service → healthy targets, as ELB tells them now.
    """
    name, red = "outage-is-seen", sorted(red)
    evidence = {"red": red, "healthy": dict(healthy)}
    blind = bool(red) and all(one.endswith(NO_HEALTHY_TARGETS) or NO_HEALTHY_TARGETS + "-" in one for one in red)
    if not blind or not healthy or desired_count == 0 or min(healthy.values()) < desired_count:
        reason = "nothing contradicts the alarm" if blind else "more than silent targets speaks for it, or is not known"
        return Check.passed(name, reason, evidence=evidence)
    reason = (
        f"{', '.join(red)} sees no healthy target, but ELB tells of {min(healthy.values())} or more in every target "
        "group of the service: the alarm watches other target groups, or looks back in time"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes), evidence)


def check_no_fix_in_flight(
    rollback: Rollback,
    deployment_began: datetime | None,
    in_alarm_since: datetime | None,
    policy: Policy,
    now: datetime,
) -> Check:
    """A deployment that began after the alarm went red is no cause of it: somebody is fixing things.

    Args:
        deployment_began: of the deployment in flight; None: there is none.
        in_alarm_since: None: not an alarm, or not known.
    """
    name = _NO_FIX
    if rollback.trigger is not Trigger.ALARM or in_alarm_since is None:
        return Check.skipped(name, "no alarm asked for it")
    if deployment_began is None or deployment_began <= in_alarm_since:
        return Check.passed(name, "no deployment began after the alarm went red")
    if now - deployment_began > timedelta(minutes=policy.service_timeout_minutes):
        reason = f"a deployment began at {deployment_began:%H:%M:%S} UTC, and has not put it right: it is no fix"
        return Check.passed(name, reason)
    reason = (
        f"a deployment began at {deployment_began:%H:%M:%S} UTC, after the alarm went red at "
        f"{in_alarm_since:%H:%M:%S}: it "
        "may be the fix, and is given time"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes))


def check_enough_traffic(
    red: Iterable[str], rates: Iterable[str], requests: float | None, policy: Policy, now: datetime
) -> Check:
    """Shares and times of few requests lie; alarms about tasks, targets and logs do not need requests.

    Args:
        red: leaf alarms in ALARM.
        rates: those of the leaf alarms that are about shares and times.
        requests: in the last `traffic_window_minutes`; None: not to be told.
    """
    name, red, rates = "enough-traffic", sorted(red), set(rates)
    evidence = {"red": red, "requests": requests}
    if not red or not set(red) <= rates:
        return Check.skipped(name, "not only rates are red", evidence=evidence)
    if requests is None or requests >= policy.min_requests_to_judge:
        said = "the number of requests can't be told" if requests is None else f"{requests:.0f} requests"
        return Check.passed(name, said, evidence=evidence)
    reason = (
        f"too little traffic to tell: {requests:.0f} requests in {policy.traffic_window_minutes:g} minutes, "
        f"{policy.min_requests_to_judge} are needed"
    )
    return _suppress_until(name, reason, now + timedelta(minutes=policy.recheck_minutes), evidence)


def _without_own(rollback: Rollback, earlier: Iterable[ChangeEntry]) -> list[ChangeEntry]:
    """Without this one and those that it goes on with."""
    found, mine = [], {rollback.id, rollback.supersedes}
    for one in earlier:
        if one.rollback_id in mine:
            mine.add(one.supersedes)
            continue
        found.append(one)
    return found


def _has_acted_unrecorded(earlier: ChangeEntry, runs: frozenset[str]) -> bool:
    """It died between its call and the save, and what it wanted runs: its intent was carried out."""
    return earlier.has_intent and earlier.target_fingerprint is not None and earlier.target_fingerprint in runs


def _cooldown(acted: list[ChangeEntry], policy: Policy, now: datetime) -> Check:
    """A rollback that was aborted gives the service nothing to recover from: the next trigger acts."""
    for one in acted:
        if one.outcome is Outcome.ABORTED:
            continue
        ready_at = (one.concluded_at or now) + timedelta(minutes=policy.cooldown_minutes)
        if now < ready_at:
            reason = (
                f"{one.rollback_id} has only just ended: the service is given {policy.cooldown_minutes:g} minutes to "
                "recover"
            )
            return _suppress_until("cooldown", reason, ready_at, {"earlier": one.rollback_id})
    return Check.passed("cooldown", "no rollback has only just ended")


def _one_step_per_window(automatic: list[ChangeEntry], runs: frozenset[str], policy: Policy, now: datetime) -> Check:
    """Rule 7: one automatic step back; from where a rollback has put the service, only a person goes further."""
    name, window = "one-step-per-window", timedelta(minutes=policy.correlation_window_minutes)
    for one in automatic:
        is_put_there = one.target_fingerprint is not None and one.target_fingerprint in runs
        if is_put_there and one.admitted_at >= now - window:
            reason = (
                f"{one.rollback_id} stepped back to {one.target_version} within the last "
                f"{window.total_seconds() / 60:g} minutes, and that does not help either: a person has to look"
            )
            return Check.failed(name, reason, evidence={"earlier": one.rollback_id})
    return Check.passed(name, "what runs was not put there by a rollback in the window")


def _attempt_budget(automatic: list[ChangeEntry], unreadable: list[str], policy: Policy, now: datetime) -> Check:
    since = now - timedelta(minutes=policy.attempt_window_minutes)
    spent = [*(one.rollback_id for one in automatic if one.admitted_at >= since), *unreadable]
    evidence = {"attempts": spent}
    said = f"{len(spent)} of {policy.attempts_per_window} attempts in {policy.attempt_window_minutes:g} minutes"
    if len(spent) < policy.attempts_per_window:
        return Check.passed("attempt-budget", said, evidence=evidence)
    reason = f"the attempt budget is spent: {said}; a person has to look"
    return Check.failed("attempt-budget", reason, evidence=evidence)


def _suppress_until(name: str, reason: str, at: datetime, evidence: Mapping[str, object] | None = None) -> Check:
    return Check.failed(name, reason, evidence=dict(evidence or {}), suppresses=True, recheck_due_at=at)
