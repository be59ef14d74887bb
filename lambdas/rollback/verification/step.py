"""Verify: check that the target runs and answers. The step passes after `verify_rounds` good rounds in a row.

An alarm's period includes minutes before the change. So an alarm that is still in ALARM fails the check only after
`alarm_settle_minutes`. If the alarm stays in ALARM, the rollback repaired nothing and proves nothing about the previous
release.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from functools import partial

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome, Rollback, Verification
from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.guards.evidence import check_outage_against_elb
from rollback.guards.ports import OutagePorts
from rollback.identity.identify import identify_running
from rollback.identity.target_groups import read_group_health
from rollback.names import degraded_alarm, outage_alarm
from rollback.ports.holders import HasHttp, HasTargetGroups
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import GroupState, conclusive_groups, describe_inconclusive_groups
from rollback.service.escalate import escalate, reassert_target
from rollback.service.newer_deployment import yield_to_newer_release
from rollback.service.ports import ServiceReadPorts
from rollback.service.reconciler import describe_zero_desired_count
from rollback.verification.connections import CONNECTION_FAILED, NOT_LOOKED_AT, OTHER_SERVICE, connection_checks
from rollback.verification.ports import ReleaseCheckPorts, VerificationPorts

# Keys in a check's evidence. `_REFUSED`: AWS refuses the call permanently. `TARGET_GROUP_GONE`: the only fault is a
# deleted target group, which no release caused.
_REFUSED = "refused"
_ALARM_CHECK = "alarms-are-ok"
_DATABASE_CHECK = "database-answers-sql"

TARGET_GROUP_GONE = "gone_group"


class AlarmHandling(StrEnum):
    """Treatment of alarms in ALARM by a check."""

    COUNT = "count"  # as a failure
    WAIT = "wait"  # as a warning: the alarms may still return to OK
    IGNORE = "ignore"


def verify(rollback: Rollback, ports: VerificationPorts) -> Rollback:
    """Run one round of checks; pass, escalate, fail or wait for the next round."""
    target = rollback.planned().target
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    rollback, is_over = yield_to_newer_release(rollback, view, ports)
    if is_over:
        return rollback
    reasserted = reassert_target(rollback, view, ports)
    if reasserted is not None:
        return reasserted
    if view.desired_count == 0 and not rollback.is_fenced:
        consequence = f"{target.version} could not be verified"
        return _fail(rollback, f"not verified: {describe_zero_desired_count(rollback, target, consequence)}")
    current = _run_round(rollback, target, view, ports)
    return _decide(rollback.evolve(verification=current), current, target, view, ports)


def _run_round(rollback: Rollback, target: Release, view: ServiceView, ports: VerificationPorts) -> Verification:
    """Run all checks once, and count the good rounds in a row."""
    policy, now = ports.settings.policy, ports.clock.now()
    previous = rollback.verification or Verification(started_at=now)
    is_settled = now - previous.started_at > timedelta(minutes=policy.alarm_settle_minutes)
    alarm_handling = AlarmHandling.COUNT if is_settled else AlarmHandling.WAIT
    checks = run_checks(rollback.service_name, target, view, ports, alarms=alarm_handling)
    checks = (*_database_checks(rollback), *connection_checks(rollback, ports), *_drill_checks(rollback, view), *checks)
    is_good = all(_is_failed_for_good(check) for check in _failing(checks))
    current = Verification(
        started_at=previous.started_at,
        rounds=previous.rounds + 1,
        good_rounds=previous.good_rounds + 1 if is_good else 0,
        checks=checks,
    )
    has_passed = _is_decided(current, policy) and not _failing(checks)
    return current.model_copy(update={"passed_at": now}) if has_passed else current


def _decide(
    rollback: Rollback, current: Verification, target: Release, view: ServiceView, ports: VerificationPorts
) -> Rollback:
    """Pass, fail, escalate, or wait for the next round."""
    policy, failing = ports.settings.policy, _failing(current.checks)
    if current.passed_at is not None:
        return rollback.evolve(outcome=Outcome.SUCCEEDED, reason=_describe_success(rollback), wait_seconds=0)
    reason = "; ".join(f"{check.name}: {check.reason}" for check in failing) or "too few good rounds in a row"
    if _is_decided(current, policy):
        return _fail(rollback, f"not verified, though all other checks pass: {reason}")
    if ports.clock.now() - current.started_at <= timedelta(minutes=policy.verify_timeout_minutes):
        return rollback.evolve(wait_seconds=policy.verify_interval_seconds)
    if failing and all(OTHER_SERVICE in check.evidence for check in failing):
        # Escalating this service repairs no other service.
        return _fail(rollback, f"not verified, though {target.version} is healthy: {reason}")
    return escalate(rollback, f"not verified: {reason}", view, ports)


def _failing(checks: tuple[Check, ...]) -> list[Check]:
    return [check for check in checks if check.verdict is Verdict.FAIL]


def _is_decided(current: Verification, policy: Policy) -> bool:
    """Whether enough good rounds followed each other, and no check has a warning that may still change."""
    is_waiting = any(check.verdict is Verdict.WARN and NOT_LOOKED_AT not in check.evidence for check in current.checks)
    return current.good_rounds >= policy.verify_rounds and not is_waiting


def _fail(rollback: Rollback, reason: str) -> Rollback:
    return rollback.evolve(outcome=Outcome.FAILED, reason=reason[:2000], wait_seconds=0)


def _is_failed_for_good(check: Check) -> bool:
    """Whether neither time nor another escalation level changes the failure."""
    return _REFUSED in check.evidence or CONNECTION_FAILED in check.evidence


def _database_checks(rollback: Rollback) -> tuple[Check, ...]:
    """Report the database step's SQL check, because only the database function may ask Postgres."""
    progress = rollback.database
    if progress is None:
        return ()
    verified_at = progress.verified_at
    evidence = {"branch": progress.before.name, "backup": progress.backup_id}
    if verified_at is None:
        reason = "Postgres did not answer after the database change"
        return (Check.failed(_DATABASE_CHECK, reason, evidence=evidence),)
    reason = f"Postgres answered at {verified_at:%H:%M:%S} UTC, after the database change"
    return (Check.passed(_DATABASE_CHECK, reason, evidence=evidence),)


def _drill_checks(rollback: Rollback, view: ServiceView) -> tuple[Check, ...]:
    """Check that the service is as it was before a drill. Autoscaling may change the count at any time."""
    baseline = rollback.plan.baseline if rollback.plan is not None else None
    if baseline is None:
        return ()
    name, definition_arn = "service-is-as-before", view.primary.definition_arn
    evidence = {"definition": definition_arn, "desired": view.desired_count, "desired_before": baseline.desired_count}
    if definition_arn != baseline.definition_arn:
        reason = f"PRIMARY has {definition_arn.rsplit('/', 1)[-1]}, not {baseline.definition_arn.rsplit('/', 1)[-1]}"
        return (Check.failed(name, reason, evidence=evidence),)
    if view.desired_count != baseline.desired_count:
        reason = (
            f"the desired count is {view.desired_count}, and was {baseline.desired_count} before the drill, which did "
            "not set it: autoscaling or the team did"
        )
        return (Check.skipped(name, reason, evidence=evidence),)
    return (Check.passed(name, "the same task definition and desired count as before the drill", evidence=evidence),)


def _describe_success(rollback: Rollback) -> str:
    plan = rollback.planned().plan
    attempts = rollback.service.attempts if rollback.service is not None else ()
    if not attempts or rollback.service is None:
        return plan.summary
    earlier_levels = ", ".join(attempt.escalation_level.in_words for attempt in attempts)
    return f"{plan.summary}, by {rollback.service.escalation_level.in_words} (tried before: {earlier_levels})"


def run_checks(
    service_name: str, release: Release, view: ServiceView, ports: ReleaseCheckPorts, *, alarms: AlarmHandling
) -> tuple[Check, ...]:
    """Run all checks of one release concurrently, in a fixed order. A question without an answer is a failed check."""
    service = ports.settings.service(service_name)
    questions: list[tuple[str, Callable[[], Check]]] = [
        ("ecs-steady-state", lambda: _check_steady_state(view, release, ports)),
        ("target-health", lambda: _check_target_health(view, ports)),
        (_ALARM_CHECK, lambda: _check_alarms(service, view, ports, alarms)),
    ]
    for endpoint in service.endpoints:
        questions.append((_endpoint_check(endpoint), partial(_check_endpoint, service, endpoint, ports)))
    with ThreadPoolExecutor(max_workers=len(questions)) as pool:
        return tuple(pool.map(lambda named: _run_timed(*named), questions))


def _run_timed(name: str, question: Callable[[], Check]) -> Check:
    started_at = time.perf_counter()
    try:
        answer = question()
    except ExternalServiceError as failure:
        evidence = {_REFUSED: failure.action} if isinstance(failure, CallRefused) else {}
        reason = f"not checked: {failure}"
        answer = Check.failed(name, reason, evidence=evidence)
    return answer.model_copy(update={"seconds": round(time.perf_counter() - started_at, 3)})


def _check_steady_state(view: ServiceView, release: Release, ports: ServiceReadPorts) -> Check:
    primary = view.primary
    problems = list(view.why_not_stable)
    if not identify_running(view, ports.settings.service(release.service), ports).is_release(release):
        problems.insert(0, f"PRIMARY is {primary.definition_arn.rsplit('/', 1)[-1]}, not {release.version}")
    evidence = {"definition": primary.definition_arn, "running": view.running_count, "desired": view.desired_count}
    verdict = Verdict.FAIL if problems else Verdict.PASS
    reason = ", ".join(problems) or f"{release.version} runs on {view.running_count} tasks"
    return Check(name="ecs-steady-state", verdict=verdict, reason=reason, evidence=evidence)


def _check_target_health(view: ServiceView, ports: HasTargetGroups) -> Check:
    name = "target-health"
    if not view.target_groups:
        return Check.skipped(name, "the service has no target group")
    groups = read_group_health(view, ports)
    inconclusive = describe_inconclusive_groups(groups)
    deleted = [group for group in groups if group.state is GroupState.GONE]
    conclusive = conclusive_groups(groups)
    counts = Counter(target.state for group in conclusive for target in group.targets)
    healthy, required = sum(group.healthy for group in conclusive), view.desired_count * len(conclusive)
    reason = "; ".join(filter(None, (f"{healthy} of {required} targets healthy" if conclusive else "", inconclusive)))
    if conclusive and healthy < required:
        return Check.failed(name, reason, evidence=dict(sorted(counts.items())))
    if deleted:  # ECS can't register a task in a deleted group, and no escalation changes that
        evidence = {_REFUSED: deleted[0].arn, **({TARGET_GROUP_GONE: deleted[0].arn} if conclusive else {})}
        return Check.failed(name, reason, evidence=evidence)
    if not conclusive:
        return Check.skipped(name, f"not checked: {inconclusive}")
    return Check.passed(name, reason, evidence=dict(sorted(counts.items())))


def _check_alarms(service: ServiceSettings, view: ServiceView, ports: OutagePorts, handling: AlarmHandling) -> Check:
    """Check the alarms. An outage alarm that watches other target groups is reported, and not counted."""
    if handling is AlarmHandling.IGNORE:
        return Check.skipped(_ALARM_CHECK, "the alarms are not part of this check")
    outage = outage_alarm(ports.settings.prefix, service.name)
    names = (degraded_alarm(ports.settings.prefix, service.name), outage)
    states = ports.alarms.states(names)
    in_alarm = sorted(name for name, state in states.items() if state == "ALARM")
    reason = f"in ALARM: {', '.join(in_alarm) or 'none'}"
    if in_alarm and handling is AlarmHandling.WAIT:
        minutes = ports.settings.policy.alarm_settle_minutes
        reason += (
            f"; the alarms' periods include earlier minutes, so the alarms have {minutes:g} minutes to return to OK"
        )
        return Check.warned(_ALARM_CHECK, reason, evidence=dict(states))
    visibility = check_outage_against_elb(service.name, view, ports) if in_alarm == [outage] else None
    if visibility is not None and visibility.verdict is Verdict.FAIL:
        reason += f", which is not counted: {visibility.reason}"
        return Check.skipped(_ALARM_CHECK, reason, evidence={**states, **visibility.evidence})
    verdict = Verdict.FAIL if in_alarm else Verdict.PASS
    return Check(name=_ALARM_CHECK, verdict=verdict, reason=reason, evidence=dict(states))


def _endpoint_check(endpoint: HealthEndpoint) -> str:
    return f"endpoint-answers {endpoint.path}"


def _check_endpoint(service: ServiceSettings, endpoint: HealthEndpoint, ports: HasHttp) -> Check:
    name = _endpoint_check(endpoint)
    if service.base_url is None:
        return Check.skipped(name, "no base_url is set for the service")
    url = service.base_url.rstrip("/") + endpoint.path
    result = ports.http.get(url, endpoint.max_latency_seconds)
    evidence = {"url": url, "status": result.status, "seconds": round(result.seconds, 3)}
    if result.status != endpoint.status:
        answer = result.status if result.status is not None else result.error
        reason = f"answered {answer}, expected {endpoint.status}"
        return Check.failed(name, reason, evidence=evidence)
    if result.seconds > endpoint.max_latency_seconds:
        reason = f"took {result.seconds:.2f} s, more than {endpoint.max_latency_seconds:g}"
        return Check.failed(name, reason, evidence=evidence)
    return Check.passed(name, f"{result.status} in {result.seconds:.2f} s", evidence=evidence)
