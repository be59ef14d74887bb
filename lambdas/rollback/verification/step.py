"""Verify: check that the target runs and answers. The step passes after `verify_rounds` good rounds in a row.

An alarm's period includes minutes before the change. So an alarm that is still in ALARM fails the check only after
`alarm_settle_minutes`. If the alarm stays in ALARM, the rollback repaired nothing and proves nothing about the previous
release.

An emergency waits for no database, no minutes of logs and no smoke task: it succeeds by ECS, ELB and the endpoints.
"""

from datetime import datetime, timedelta

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.database.progress import CommandRun
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome, Rollback, Verification
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.leases.hold import assert_lease
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.escalate import escalate, reassert_target
from rollback.service.newer_deployment import yield_to_newer_release
from rollback.service.reconciler import describe_zero_desired_count
from rollback.verification.check_list import CheckOptions, run_checks
from rollback.verification.checks.alarms import AlarmHandling
from rollback.verification.checks.connections import connection_checks
from rollback.verification.checks.database import skip_database
from rollback.verification.checks.evidence_keys import (
    LASTING,
    failing,
    is_beyond_the_service,
    is_failed_for_good,
    may_still_change,
)
from rollback.verification.checks.smoke import CHECK_NAME as SMOKE_CHECK
from rollback.verification.checks.smoke import judge_smoke, run_smoke, skip_smoke, stop_smoke
from rollback.verification.checks.task_rules import WATCH, window_of
from rollback.verification.ports import VerificationPorts

_DATABASE_CHECK = "database-answers-sql"
_FUNCTION_SECONDS = 60  # time limit of the function that runs this step (rule 9: the lease outlasts it)
_EMERGENCY = "an emergency does not wait for"


def verify(rollback: Rollback, ports: VerificationPorts) -> Rollback:
    """Run one round of checks; pass, escalate, fail or wait for the next round."""
    target = rollback.planned().target
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    after, is_over = yield_to_newer_release(rollback, view, ports)
    if is_over:
        return _without_smoke(after, "the team deployed a newer release", ports)
    rollback = after
    reasserted = reassert_target(rollback, view, ports)
    if reasserted is not None:
        _without_smoke(rollback, "another deployment replaced the target", ports)
        return reasserted
    if view.desired_count == 0 and not rollback.is_fenced:
        consequence = f"{target.version} could not be verified"
        return _fail(rollback, f"not verified: {describe_zero_desired_count(rollback, target, consequence)}")
    current = _run_round(rollback, target, view, ports)
    return _decide(rollback.evolve(verification=current), current, target, view, ports)


def announces_smoke(before: Rollback, after: Rollback) -> datetime | None:
    """Return the end of the function that starts a newly announced smoke task; None: none is newly announced."""
    announced_at = after.verification.smoke_announced_at if after.verification is not None else None
    earlier = before.verification.smoke_announced_at if before.verification is not None else None
    is_new = announced_at is not None and announced_at != earlier
    return announced_at + timedelta(seconds=_FUNCTION_SECONDS) if is_new and announced_at is not None else None


def _run_round(rollback: Rollback, target: Release, view: ServiceView, ports: VerificationPorts) -> Verification:
    """Run all checks once, and count the good rounds in a row."""
    policy, now = ports.settings.policy, ports.clock.now()
    previous = rollback.verification or Verification(started_at=now)
    is_settled = now - previous.started_at > timedelta(minutes=policy.alarm_settle_minutes)
    question, skipped_database = _database_question(rollback, target, ports)
    options = CheckOptions(
        alarms=AlarmHandling.COUNT if is_settled else AlarmHandling.WAIT,
        tasks=window_of(view, now, _watch_tasks_until(rollback, previous, policy)),
        database=question,
        logs_since=previous.started_at,
        logs_wait_until=_logs_wait_until(rollback, previous, policy),
    )
    checks = run_checks(rollback.service_name, target, view, ports, options)
    checks = (
        *_database_checks(rollback),
        *connection_checks(rollback, ports),
        *_drill_checks(rollback, view),
        *checks,
        *skipped_database,
    )
    is_good = not _open_failures(checks)
    with_smoke, smoke_checks = _smoke_round(rollback, previous, view, ports, is_good=is_good)
    checks = (*checks, *smoke_checks)
    current = with_smoke.model_copy(
        update={
            "rounds": previous.rounds + 1,
            "good_rounds": previous.good_rounds + 1 if not _open_failures(checks) else 0,
            "checks": checks,
        }
    )
    has_passed = _is_decided(current, policy) and not failing(checks)
    return current.model_copy(update={"passed_at": now}) if has_passed else current


def _open_failures(checks: tuple[Check, ...]) -> list[Check]:
    """Failures that time or another escalation level may change."""
    return [check for check in failing(checks) if not is_failed_for_good(check)]


def _logs_wait_until(rollback: Rollback, verification: Verification, policy: Policy) -> datetime | None:
    """Until when the log is waited for: half the time of Verify at most, so that the rounds still fit."""
    if rollback.is_emergency:
        return None
    minutes = min(policy.error_log_wait_minutes, policy.verify_timeout_minutes / 2)
    return verification.started_at + timedelta(minutes=minutes)


def _watch_tasks_until(rollback: Rollback, verification: Verification, policy: Policy) -> datetime | None:
    """Until when tasks without a load balancer are watched before they count as good; an emergency does not wait."""
    if rollback.is_emergency:
        return None
    return verification.started_at + min(WATCH, timedelta(minutes=policy.verify_timeout_minutes / 2))


def _smoke_round(
    rollback: Rollback, previous: Verification, view: ServiceView, ports: VerificationPorts, *, is_good: bool
) -> tuple[Verification, tuple[Check, ...]]:
    """Announce, start or follow the smoke task: announced after a good round, started in the next one."""
    service = ports.settings.service(rollback.service_name)
    if not service.smoke_command:
        return previous, ()
    if rollback.is_emergency:
        return previous, (skip_smoke(f"{_EMERGENCY} a task"),)
    if previous.smoke_announced_at is None:
        announced = previous.model_copy(update={"smoke_announced_at": ports.clock.now()}) if is_good else previous
        return announced, (judge_smoke(service, None),)
    run = _advance_smoke(service, rollback, previous.smoke, view, ports)
    return previous.model_copy(update={"smoke": run}), (judge_smoke(service, run),)


def _advance_smoke(
    service: ServiceSettings, rollback: Rollback, run: CommandRun | None, view: ServiceView, ports: VerificationPorts
) -> CommandRun | None:
    """Start or follow the task. If ECS gives no answer, the next round asks again."""
    if run is None:
        assert_lease(rollback, ports, _FUNCTION_SECONDS)
    attempts = rollback.service.attempts if rollback.service is not None else ()
    try:
        return run_smoke(service, run, view, rollback.id, f"smoke-{len(attempts)}", ports)
    except CallRefused as refused:
        reason = f"its task can't be followed: {refused}"
        return run.evolve(ended_at=ports.clock.now(), reason=reason) if run is not None else None
    except ExternalServiceError:
        return run


def _without_smoke(rollback: Rollback, reason: str, ports: VerificationPorts) -> Rollback:
    """Stop a smoke task that still runs: the verification ends without it."""
    verification = rollback.verification
    if verification is None or verification.smoke is None or verification.smoke.ended_at is not None:
        return rollback
    service, now = ports.settings.service(rollback.service_name), ports.clock.now()
    stopped = stop_smoke(service, verification.smoke, reason, now, ports)
    return rollback.evolve(verification=verification.model_copy(update={"smoke": stopped}))


def _decide(
    rollback: Rollback, current: Verification, target: Release, view: ServiceView, ports: VerificationPorts
) -> Rollback:
    """Pass, fail, escalate, or wait for the next round."""
    policy, failures = ports.settings.policy, failing(current.checks)
    if current.passed_at is not None:
        return rollback.evolve(outcome=Outcome.SUCCEEDED, reason=_describe_success(rollback, view), wait_seconds=0)
    reason = "; ".join(f"{check.name}: {check.reason}" for check in failures) or "too few good rounds in a row"
    if _is_decided(current, policy):
        return _fail(rollback, f"not verified, though all other checks pass: {reason}")
    is_late = ports.clock.now() - current.started_at > timedelta(minutes=policy.verify_timeout_minutes)
    if not is_late and not any(LASTING in check.evidence for check in failures):
        return rollback.evolve(wait_seconds=policy.verify_interval_seconds)
    rollback = _without_smoke(rollback, "the verification has ended", ports)
    if failures and all(is_beyond_the_service(check) for check in failures):
        # Escalating this service repairs no other service, and no database.
        return _fail(rollback, f"not verified, though {target.version} is healthy: {reason}")
    return escalate(rollback, f"not verified: {reason}", view, ports)


def _is_decided(current: Verification, policy: Policy) -> bool:
    """Whether enough good rounds followed each other, and no check has a warning that may still change."""
    return current.good_rounds >= policy.verify_rounds and not any(map(may_still_change, current.checks))


def _fail(rollback: Rollback, reason: str) -> Rollback:
    return rollback.evolve(outcome=Outcome.FAILED, reason=reason[:2000], wait_seconds=0)


def _database_question(
    rollback: Rollback, target: Release, ports: VerificationPorts
) -> tuple[DatabaseQuestion | None, tuple[Check, ...]]:
    """Make the question about the database, or the check that says why none is asked."""
    settings = ports.settings.database
    if settings is None:
        return None, ()
    if rollback.is_emergency:  # it must work with Neon down
        return None, (skip_database(f"{_EMERGENCY} the database"),)
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and planned.strategy is Strategy.DELETE:
        return None, (skip_database("the branch was deleted"),)
    current_branch_id = rollback.database.current_branch_id if rollback.database is not None else None
    branch_id = current_branch_id or settings.branch_id or (planned.branch if planned is not None else None)
    if branch_id is None:
        return None, (skip_database("each pull request has its own branch, and the rollback names none"),)
    question = DatabaseQuestion(
        service=target.service,
        fingerprint=target.fingerprint,
        branch_id=branch_id,
        has_changed_data=rollback.has_changed_data,
    )
    return question, ()


def _database_checks(rollback: Rollback) -> tuple[Check, ...]:
    """Report the database step's SQL check, made while services were stopped."""
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


def _describe_success(rollback: Rollback, view: ServiceView) -> str:
    plan = rollback.planned().plan
    attempts = rollback.service.attempts if rollback.service is not None else ()
    smoke = rollback.verification.smoke if rollback.verification is not None else None
    missing = f"; {view.why_not_counted}" if view.why_not_counted else ""
    missing += f"; {SMOKE_CHECK} not looked at" if smoke is not None and smoke.never_started else ""
    if not attempts or rollback.service is None:
        return f"{plan.summary}{missing}"
    earlier_levels = ", ".join(attempt.escalation_level.in_words for attempt in attempts)
    level = rollback.service.escalation_level.in_words
    return f"{plan.summary}, by {level} (tried before: {earlier_levels}){missing}"
