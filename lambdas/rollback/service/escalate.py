"""Escalation: a rung did not help; look at what the service stands on, and take the next one, or tell a person."""

from datetime import datetime

from rollback.domain.escalation import (
    EscalationAttempt,
    EscalationEnd,
    EscalationLevel,
    ServiceHealth,
    TargetSwitch,
    next_escalation,
)
from rollback.domain.releases.release import Release
from rollback.domain.rollback import DeployingRollback, Outcome, Rollback
from rollback.domain.standing_plan import StandingTarget
from rollback.errors import ExternalServiceError, StageNotReached
from rollback.identity.identify import identify_running
from rollback.identity.target_groups import read_group_health
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import conclusive_groups
from rollback.service.next_target import find_next_target, switch_target

_EVENTS = 5  # of the service, into the report
_END_REASONS = {
    EscalationEnd.NOT_THE_RELEASE: (
        "the target runs and its targets are healthy: the release is not the cause, look elsewhere"
    ),
    EscalationEnd.LEVELS_EXHAUSTED: "nothing more can be tried without a person",
}


def escalate(rollback: Rollback, why: str, view: ServiceView, world: World) -> Rollback:
    """The next rung of the ladder, or the end of it.

    Args:
        why: what did not come about on this rung.
    """
    deploying, now, policy = rollback.deploying(), world.clock.now(), world.settings.policy
    progress = deploying.progress
    tried = (*progress.tried, _record_attempt(deploying, why, view, now))
    service_health, another = assess_service_health(deploying, view, world), find_next_target(rollback, world)
    step = next_escalation(
        progress.escalation_level, service_health, policy.restart_from_zero, has_another_target=another is not None
    )
    if isinstance(step, TargetSwitch):
        if another is None:
            raise StageNotReached(f"{rollback.id}: the next target was chosen, and the standing plan has none")
        return _switch_target(another, deploying, tried, why, view, now)
    if isinstance(step, EscalationLevel):
        climbed = progress.evolve(
            escalation_level=step, escalation_level_since=now, tried=tried, done_at=None, redeployment_forced_at=None
        )
        return rollback.evolve(service=climbed, verification=None, reason=f"{why}: on to {step}", wait_seconds=0)
    healthy = service_health.healthy_targets if service_health.healthy_targets is not None else "?"
    stood = f"{healthy} of {service_health.wanted} healthy"
    reason = f"{why}; {_END_REASONS[step]} ({stood})"
    return rollback.evolve(service=progress.evolve(tried=tried), outcome=Outcome.FAILED, reason=reason, wait_seconds=0)


def reassert_target(rollback: Rollback, view: ServiceView, world: World) -> Rollback | None:
    """The same rung once more, where another deployment took the target's place and does not stand; None: it did not.

    Once a rung: two who deploy over each other do not come to an end.
    """
    deploying, now = rollback.deploying(), world.clock.now()
    progress, target = deploying.progress, deploying.target
    is_ours = view.primary.definition_arn == progress.target_definition_arn
    if is_ours or identify_running(view, world.settings.service(target.service), world).is_release(target):
        return None
    if any(
        left.escalation_level is progress.escalation_level and _is_attempt_for(left, target) for left in progress.tried
    ):
        return None
    why = f"PRIMARY is {view.primary.definition_arn.rsplit('/', 1)[-1]} now, not {target.version}"
    tried = (*progress.tried, _record_attempt(deploying, why, view, now))
    again = progress.evolve(escalation_level_since=now, tried=tried, done_at=None, redeployment_forced_at=None)
    return rollback.evolve(
        service=again, verification=None, reason=f"{why}: {progress.escalation_level} again", wait_seconds=0
    )


def _switch_target(
    another: StandingTarget,
    deploying: DeployingRollback,
    tried: tuple[EscalationAttempt, ...],
    why: str,
    view: ServiceView,
    now: datetime,
) -> Rollback:
    """Another target on the same rung. What was announced for the one before is not sent any more."""
    begun = deploying.progress.evolve(
        escalation_level_since=now,
        target_since=now,
        tried=tried,
        target_definition_arn=None,
        intent=None,
        done_at=None,
        redeployment_forced_at=None,
    )
    reason = f"{why}: on to {another.release.version}, the next target"
    return switch_target(deploying, another, view).evolve(
        service=begun, verification=None, reason=reason, wait_seconds=0
    )


def _record_attempt(deploying: DeployingRollback, why: str, view: ServiceView, now: datetime) -> EscalationAttempt:
    """The rung that is left, and the target that it was for."""
    progress, target = deploying.progress, deploying.target
    return EscalationAttempt(
        escalation_level=progress.escalation_level,
        since=progress.escalation_level_since,
        until=now,
        escalation_reason=why,
        target=target.version,
        target_fingerprint=target.fingerprint,
        moves_before_escalation=len(progress.moves),
        last_events=view.last_events[:_EVENTS],
    )


def _is_attempt_for(left: EscalationAttempt, target: Release) -> bool:
    """An older version of the code did not write the target down, and took no other."""
    return left.target_fingerprint in ("", target.fingerprint)


def assess_service_health(deploying: DeployingRollback, view: ServiceView, world: World) -> ServiceHealth:
    """What the service stands on now."""
    primary, target = view.primary, deploying.target
    service = world.settings.service(deploying.rollback.service_name)
    is_target = primary.definition_arn == deploying.progress.target_definition_arn
    is_target = is_target or identify_running(view, service, world).is_release(target)
    healthy = healthy_targets(view, world)
    return ServiceHealth(
        is_target_running=is_target and primary.running_count >= view.desired_count > 0,
        healthy_targets=min(healthy) if healthy is not None else None,
        has_healthy_target=any(healthy) if healthy is not None else None,
        wanted=view.desired_count,
        other_tasks=sum(d.running_count for d in view.deployments if not d.is_primary),
    )


def healthy_targets(view: ServiceView, world: World) -> tuple[int, ...] | None:
    """Targets that serve, by target group whose targets are checked; running tasks where the service has no group.

    None: the load balancer could not be asked, or no group says anything: not known is not zero.
    """
    if not view.target_groups:
        return (view.running_count,)
    try:
        groups = conclusive_groups(read_group_health(view, world))
    except ExternalServiceError:
        return None
    return tuple(group.healthy for group in groups) or None
