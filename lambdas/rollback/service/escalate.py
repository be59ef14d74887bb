"""Escalation: when a level did not help, assess the service, and take the next level or leave it to an operator."""

from datetime import datetime

from rollback.domain.escalation import (
    EscalationAttempt,
    EscalationEnd,
    EscalationLevel,
    ServiceHealth,
    TargetSwitch,
    describe_escalation,
    next_escalation,
)
from rollback.domain.releases.release import Release
from rollback.domain.rollback import DeployingRollback, Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingTarget
from rollback.errors import ExternalServiceError
from rollback.identity.identify import identify_running
from rollback.identity.target_groups import read_group_health
from rollback.ports.holders import HasTargetGroups
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.ecs_task import FAILURE_WINDOW, failures_since
from rollback.resources.aws.target_group_health import conclusive_groups
from rollback.service.next_target import find_next_target, switch_target
from rollback.service.ports import EscalationPorts

_EVENTS = 5  # last events of the service in the report
_END_REASONS = {
    EscalationEnd.NOT_THE_RELEASE: (
        "the target release runs and its load balancer targets are healthy: the release is not the "
        "cause, look for another cause"
    ),
    EscalationEnd.NO_LEVEL_ALLOWED: (
        "no further escalation level is allowed: a restart from zero needs restart_from_zero: allow and no healthy "
        "load-balancer target"
    ),
}
_NOT_THE_RELEASE_WITHOUT_TARGETS = (
    "the target release runs with all its tasks, and no load balancer checks them: nothing shows that the release is "
    "the cause, look for another cause"
)
_AFTER_LAST_LEVEL = "restart from zero was the last escalation level"


def escalate(rollback: Rollback, reason: str, view: ServiceView, ports: EscalationPorts) -> Rollback:
    """Take the next escalation level or target, or end the rollback.

    Args:
        rollback: the document.
        reason: the reason why this level did not help.
        view: ECS's description of the service.
        ports: access to AWS, Neon and the ledger.
    """
    deploying = rollback.deploying()
    progress, now, policy = deploying.progress, ports.clock.now(), ports.settings.policy
    attempts = (*progress.attempts, _record_attempt(deploying, reason, view, now))
    if rollback.is_drill:
        failed_reason = f"{reason}; a drill takes no further escalation level"
        return rollback.evolve(
            service=progress.evolve(attempts=attempts), outcome=Outcome.FAILED, reason=failed_reason, wait_seconds=0
        )
    service_health, next_target = assess_service_health(rollback, view, ports), find_next_target(rollback, ports)
    escalation = next_escalation(
        progress.escalation_level, service_health, policy.restart_from_zero, has_another_target=next_target is not None
    )
    if isinstance(escalation, TargetSwitch) and next_target is not None:
        return _switch_target(next_target, deploying, attempts, reason, view, now)
    if isinstance(escalation, EscalationLevel):
        escalated = progress.evolve(
            escalation_level=escalation,
            escalation_level_since=now,
            attempts=attempts,
            done_at=None,
            redeployment_forced_at=None,
        )
        escalation_reason = describe_escalation(reason, escalation)
        return rollback.evolve(service=escalated, verification=None, reason=escalation_reason, wait_seconds=0)
    end = escalation if isinstance(escalation, EscalationEnd) else EscalationEnd.NO_LEVEL_ALLOWED
    return rollback.evolve(
        service=progress.evolve(attempts=attempts),
        outcome=Outcome.FAILED,
        reason=f"{reason}; {_describe_end(end, progress.escalation_level, service_health, view)}",
        wait_seconds=0,
    )


def _describe_end(end: EscalationEnd, level: EscalationLevel, service_health: ServiceHealth, view: ServiceView) -> str:
    end_reason = _END_REASONS[end]
    if end is EscalationEnd.NO_LEVEL_ALLOWED and level is EscalationLevel.RESTART_FROM_ZERO:
        end_reason = _AFTER_LAST_LEVEL
    elif end is EscalationEnd.NOT_THE_RELEASE and not view.target_groups:
        end_reason = _NOT_THE_RELEASE_WITHOUT_TARGETS
    counted = "targets healthy" if view.target_groups else "tasks run, and no load balancer checks them"
    if service_health.healthy_targets is None:
        return f"{end_reason} (healthy targets: not known, desired count {service_health.desired_count})"
    return f"{end_reason} ({service_health.healthy_targets} of {service_health.desired_count} {counted})"


def reassert_target(rollback: Rollback, view: ServiceView, ports: EscalationPorts) -> Rollback | None:
    """Repeat the level once if another deployment replaced the target; None: no deployment did, or it was repeated.

    A second repetition would let two pipelines deploy over each other without end.
    """
    deploying = rollback.deploying()
    if rollback.is_drill:  # a drill deploys once: Verify fails if another release runs
        return None
    progress, now, target = deploying.progress, ports.clock.now(), deploying.target
    is_deployed_by_this_rollback = view.primary.definition_arn == progress.target_definition_arn
    if is_deployed_by_this_rollback or identify_running(view, ports.settings.service(target.service), ports).is_release(
        target
    ):
        return None
    level = progress.escalation_level
    if any(attempt.escalation_level is level and _is_attempt_for(attempt, target) for attempt in progress.attempts):
        return None
    reason = f"PRIMARY is {view.primary.definition_arn.rsplit('/', 1)[-1]} now, not {target.version}"
    attempts = (*progress.attempts, _record_attempt(deploying, reason, view, now))
    repeated = progress.evolve(escalation_level_since=now, attempts=attempts, done_at=None, redeployment_forced_at=None)
    return rollback.evolve(
        service=repeated, verification=None, reason=f"{reason}; repeating level {level.in_words}", wait_seconds=0
    )


def _switch_target(
    next_target: StandingTarget,
    deploying: DeployingRollback,
    attempts: tuple[EscalationAttempt, ...],
    reason: str,
    view: ServiceView,
    now: datetime,
) -> Rollback:
    """Take another target on the same level. A change that was announced for the former target is not sent."""
    switched = deploying.progress.evolve(
        escalation_level_since=now,
        target_since=now,
        attempts=attempts,
        target_definition_arn=None,
        intent=None,
        done_at=None,
        redeployment_forced_at=None,
    )
    return switch_target(deploying.rollback, next_target, view).evolve(
        service=switched,
        verification=None,
        reason=f"{reason}; switching the target to {next_target.release.version}",
        wait_seconds=0,
    )


def _record_attempt(deploying: DeployingRollback, reason: str, view: ServiceView, now: datetime) -> EscalationAttempt:
    """Record the level that did not help, with its target."""
    progress, target = deploying.progress, deploying.target
    return EscalationAttempt(
        escalation_level=progress.escalation_level,
        since=progress.escalation_level_since,
        until=now,
        escalation_reason=reason,
        target=target.version,
        target_fingerprint=target.fingerprint,
        moves_before_escalation=len(progress.moves),
        last_events=view.last_events[:_EVENTS],
    )


def _is_attempt_for(attempt: EscalationAttempt, target: Release) -> bool:
    """Whether the attempt had that target. An older version of the code recorded no target, and had only one."""
    return attempt.target_fingerprint in ("", target.fingerprint)


def assess_service_health(rollback: Rollback, view: ServiceView, ports: EscalationPorts) -> ServiceHealth:
    """Assess which release runs, and how many of its targets are healthy."""
    deploying = rollback.deploying()
    primary, target = view.primary, deploying.target
    service = ports.settings.service(rollback.service_name)
    is_target = primary.definition_arn == deploying.progress.target_definition_arn
    is_target = is_target or identify_running(view, service, ports).is_release(target)
    is_target = is_target and not _has_failed_tasks(service, view, ports)
    healthy = count_healthy_targets(view, ports)
    return ServiceHealth(
        is_target_running=is_target and primary.running_count >= view.desired_count > 0,
        healthy_targets=min(healthy) if healthy is not None else None,
        has_healthy_target=any(healthy) if healthy is not None else None,
        desired_count=view.desired_count,
        other_tasks=sum(d.running_count for d in view.deployments if not d.is_primary),
    )


def _has_failed_tasks(service: ServiceSettings, view: ServiceView, ports: EscalationPorts) -> bool:
    """Whether tasks without a load balancer failed lately: the running count stays up while they crash and start again.

    Without ECS's list nothing shows a failure.
    """
    if view.target_groups:
        return False
    since = max(view.primary.created_at, ports.clock.now() - FAILURE_WINDOW)
    try:
        return bool(failures_since(since, ports.services.service_tasks(service), view.primary, service.container))
    except ExternalServiceError:
        return False


def count_healthy_targets(view: ServiceView, ports: HasTargetGroups) -> tuple[int, ...] | None:
    """Count the healthy targets of each target group with health checks; running tasks if the service has no group.

    Returns:
        None if the load balancer could not be asked, or no group has an answer: unknown is not zero.
    """
    if not view.target_groups:
        return (view.running_count,)
    try:
        groups = conclusive_groups(read_group_health(view, ports))
    except ExternalServiceError:
        return None
    return tuple(group.healthy for group in groups) or None
