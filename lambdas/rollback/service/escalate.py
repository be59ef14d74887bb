"""Escalation: a rung did not help; look at what the service stands on, and take the next one, or tell a person."""

from datetime import datetime

from rollback.domain.escalation import End, Footing, Rung, Switch, Tried, next_rung
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.standing_plan import StandingTarget
from rollback.errors import OutsideFailure
from rollback.identity.identify import running_identity
from rollback.identity.target_groups import groups_of
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import that_say_something
from rollback.service.next_target import another_target, with_target

_EVENTS = 5  # of the service, into the report
_IN_WORDS = {
    End.NOT_THE_RELEASE: "the target runs and its targets are healthy: the release is not the cause, look elsewhere",
    End.OUT_OF_RUNGS: "nothing more can be tried without a person",
}


def escalate(rollback: Rollback, why: str, view: ServiceView, world: World) -> Rollback:
    """The next rung of the ladder, or the end of it.

    Args:
        why: what did not come about on this rung.
    """
    assert rollback.service is not None  # noqa: S101 - there is no escalation before the service step
    assert rollback.plan is not None  # noqa: S101
    assert rollback.plan.target is not None  # noqa: S101
    progress, now, policy = rollback.service, world.clock.now(), world.settings.policy
    tried = (*progress.tried, _left(rollback, why, view, now))
    footing, another = footing_of(rollback, view, world), another_target(rollback, world)
    step = next_rung(progress.rung, footing, policy.restart_from_zero, has_another_target=another is not None)
    if isinstance(step, Switch):
        assert another is not None  # noqa: S101 - `next_rung` was told of it
        return _on_to(another, rollback, tried, why, view, now)
    if isinstance(step, Rung):
        climbed = progress.but(rung=step, rung_since=now, tried=tried, done_at=None, forced_anew_at=None)
        return rollback.but(service=climbed, verification=None, reason=f"{why}: on to {step}", wait_seconds=0)
    stood = f"{footing.healthy_targets if footing.healthy_targets is not None else '?'} of {footing.wanted} healthy"
    reason = f"{why}; {_IN_WORDS[step]} ({stood})"
    return rollback.but(service=progress.but(tried=tried), outcome=Outcome.FAILED, reason=reason, wait_seconds=0)


def asserted_again(rollback: Rollback, view: ServiceView, world: World) -> Rollback | None:
    """The same rung once more, where another deployment took the target's place and does not stand; None: it did not.

    Once a rung: two who deploy over each other do not come to an end.
    """
    assert rollback.service is not None  # noqa: S101 - see `escalate`
    assert rollback.plan is not None  # noqa: S101
    assert rollback.plan.target is not None  # noqa: S101
    progress, now, target = rollback.service, world.clock.now(), rollback.plan.target
    is_ours = view.primary.definition_arn == progress.target_definition_arn
    if is_ours or running_identity(view, world.settings.service(target.service), world).is_release(target):
        return None
    if any(left.rung is progress.rung and _is_of(left, target) for left in progress.tried):
        return None
    why = f"PRIMARY is {view.primary.definition_arn.rsplit('/', 1)[-1]} now, not {target.version}"
    tried = (*progress.tried, _left(rollback, why, view, now))
    again = progress.but(rung_since=now, tried=tried, done_at=None, forced_anew_at=None)
    return rollback.but(service=again, verification=None, reason=f"{why}: {progress.rung} again", wait_seconds=0)


def _on_to(
    another: StandingTarget, rollback: Rollback, tried: tuple[Tried, ...], why: str, view: ServiceView, now: datetime
) -> Rollback:
    """Another target on the same rung. What was announced for the one before is not sent any more."""
    assert rollback.service is not None  # noqa: S101 - see `escalate`
    begun = rollback.service.but(
        rung_since=now,
        target_since=now,
        tried=tried,
        target_definition_arn=None,
        intent=None,
        done_at=None,
        forced_anew_at=None,
    )
    reason = f"{why}: on to {another.release.version}, the next target"
    return with_target(rollback, another, view).but(service=begun, verification=None, reason=reason, wait_seconds=0)


def _left(rollback: Rollback, why: str, view: ServiceView, now: datetime) -> Tried:
    """The rung that is left, and the target that it was for."""
    assert rollback.service is not None  # noqa: S101 - see `escalate`
    assert rollback.plan is not None  # noqa: S101
    assert rollback.plan.target is not None  # noqa: S101
    progress, target = rollback.service, rollback.plan.target
    return Tried(
        rung=progress.rung,
        since=progress.rung_since,
        until=now,
        why_left=why,
        target=target.version,
        target_fingerprint=target.fingerprint,
        moves_made=len(progress.moves),
        last_events=view.last_events[:_EVENTS],
    )


def _is_of(left: Tried, target: Release) -> bool:
    """An older version of the code did not write the target down, and took no other."""
    return left.target_fingerprint in ("", target.fingerprint)


def footing_of(rollback: Rollback, view: ServiceView, world: World) -> Footing:
    """What the service stands on now."""
    assert rollback.plan is not None  # noqa: S101 - see `escalate`
    assert rollback.plan.target is not None  # noqa: S101
    primary, progress, target = view.primary, rollback.service, rollback.plan.target
    service = world.settings.service(rollback.service_name)
    is_target = progress is not None and primary.definition_arn == progress.target_definition_arn
    is_target = is_target or running_identity(view, service, world).is_release(target)
    healthy = healthy_targets(view, world)
    return Footing(
        target_runs=is_target and primary.running_count >= view.desired_count > 0,
        healthy_targets=min(healthy) if healthy is not None else None,
        serves=any(healthy) if healthy is not None else None,
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
        groups = that_say_something(groups_of(view, world))
    except OutsideFailure:
        return None
    return tuple(group.healthy for group in groups) or None
