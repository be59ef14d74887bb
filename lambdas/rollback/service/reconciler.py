"""Service: bring the ECS service to the target, one safe move at a time.

A move that changes ECS takes two calls: the first writes the intent under a lease that outlasts the function (rule 9),
the second looks again, reads the lease, and acts. A crash in between finds the intent, and looks before it acts.
"""

from datetime import datetime, timedelta

from rollback.domain.escalation import Rung
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Intent, ObligationKind, Outcome, Rollback, ServiceProgress
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, OutsideFailure
from rollback.identity.identify import identity_of
from rollback.intents.waiting import lands_before
from rollback.leases.holder import document
from rollback.names import TASKS_ARE_WANTED
from rollback.ports.world import World
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import IN_FLIGHT, ROLLING_BACK, DeployedRevision, ServiceView
from rollback.service.actions import act, intend, is_meant
from rollback.service.drain_status import with_service_running
from rollback.service.escalate import escalate, footing_of, healthy_targets
from rollback.service.newer_deployment import gives_way
from rollback.service.next_action import (
    CHANGES,
    AtZero,
    Move,
    ServiceSnapshot,
    Situation,
    desired_count_for,
    next_move,
    next_move_at_zero,
)
from rollback.service.stack import known_stack


def service(rollback: Rollback, world: World) -> Rollback:
    """One look, at most one change."""
    assert rollback.plan is not None  # noqa: S101 - the route comes here only with a plan that has a target
    assert rollback.plan.target is not None  # noqa: S101
    now, target = world.clock.now(), rollback.plan.target
    progress = rollback.service or _begun(rollback, now, world)
    if now < _data_may_change_until(rollback, world):
        return rollback.but(service=progress, wait_seconds=world.settings.policy.poll_seconds)
    view = world.services.look(world.settings.service(rollback.service_name))
    rollback = with_service_running(rollback, rollback.service_name, view, now)
    rollback, is_over = gives_way(rollback.but(service=_restarted_unseen(progress, view)), view, world)
    if is_over:
        return rollback
    if view.desired_count == 0 and not rollback.is_fenced and _wanted_tasks_before(rollback):
        reason = f"no task is wanted any more (scaled to zero); none is started, {target.version} was not seen to run"
        return rollback.but(outcome=Outcome.FAILED, reason=reason, wait_seconds=0)
    progress = rollback.service or progress
    progress = capacity_asked(target, progress, view, world)
    wanted = _wanted(rollback, target, progress, view, world)
    progress, stack = _stack(progress, target, now, world)
    move = _move(progress, target, view, wanted, stack, now, world)
    if move in (Move.DONE, Move.WAIT_FOR_TARGET) and _knows_old_secret(rollback, progress):
        move = Move.FORCE_NEW_DEPLOYMENT
    if move is Move.DONE and (progress.reassert_until is None or now >= progress.reassert_until):
        return rollback.but(service=progress.but(done_at=now, intent=None), wait_seconds=0)
    limit = _limit(progress.rung, world)
    if now - progress.rung_since > limit:
        why = f"{target.version} did not settle in {limit.total_seconds() / 60:g} minutes"
        return _too_late(rollback.but(service=progress), why, view, world)
    if move not in CHANGES:
        waiting = progress.but(moves=_with(progress.moves, move))
        return rollback.but(service=waiting, wait_seconds=world.settings.policy.poll_seconds)
    if progress.intent is None or not is_meant(progress.intent, move, view):
        return intend(rollback, progress, move, view, wanted, world)
    return _acted(rollback, progress, progress.intent, move, view, world)


def _wanted_tasks_before(rollback: Rollback) -> bool:
    """Whether tasks were wanted as the plan was made; an operator may roll back a service that stands at zero."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    return any(c.name == TASKS_ARE_WANTED and int(c.evidence.get("desired_count", 0)) > 0 for c in checks)


def _begun(rollback: Rollback, now: datetime, world: World) -> ServiceProgress:
    """Whoever took a living rollback over asserts what it did until the other's function has run out (rule 9)."""
    emergency = rollback.request.type is RollbackType.EMERGENCY
    limit = timedelta(seconds=world.settings.policy.act_timeout_seconds)
    return ServiceProgress(
        started_at=now,
        rung=Rung.EMERGENCY if emergency else Rung.SERVICE,
        rung_since=now,
        reassert_until=(rollback.admitted_at or now) + limit if rollback.supersedes is not None else None,
    )


def _data_may_change_until(rollback: Rollback, world: World) -> datetime:
    """Rule 9: a change of the database that was announced by the rollback that was taken over may land until then."""
    before = document(rollback.supersedes, world) if rollback.supersedes is not None else None
    intent = before.database.intent if before is not None and before.database is not None else None
    if intent is None:
        return rollback.created_at
    lost = world.settings.database.lost_answer_seconds if world.settings.database is not None else 0
    return lands_before(intent.at, lost, world)


def _stack(
    progress: ServiceProgress, target: Release, now: datetime, world: World
) -> tuple[ServiceProgress, StackState]:
    """What CloudFormation is doing; an emergency proceeds over it (rule 6), and does not ask.

    Not known counts as an update under way, so that only StopServiceDeployment is safe; but not for longer than a
    deployment may be stuck, and not at all where CloudFormation refuses to tell. Then the rollback goes on, and looks
    whether it stands: an update that overwrites it is found by Verify.
    """
    if progress.rung is not Rung.SERVICE:
        return progress, StackState.STABLE
    stack = known_stack(world.settings.service(target.service), world)
    if stack.state is not StackState.NOT_KNOWN:
        return progress, stack.state
    patience = timedelta(minutes=world.settings.policy.stuck_minutes)
    if not stack.is_for_good and now - progress.rung_since < patience:
        return progress, StackState.UPDATING
    note = "went on without knowing whether CloudFormation changes the service, which could not be asked"
    return progress.noted(note), StackState.STABLE


def _move(
    progress: ServiceProgress,
    target: Release,
    view: ServiceView,
    wanted: int,
    stack: StackState,
    now: datetime,
    world: World,
) -> Move:
    service = world.settings.service(target.service)
    if _is_restarting(progress, view, world):
        return next_move_at_zero(at_zero(service, view, world))
    emergency = progress.rung is not Rung.SERVICE
    situation = Situation(
        emergency=emergency,
        stack=stack,
        is_stuck=_is_stuck(progress, view, now, world),
    )
    return next_move(_snapshot(view, progress, target, world), target.fingerprint, wanted, situation)


def _knows_old_secret(rollback: Rollback, progress: ServiceProgress) -> bool:
    """Its tasks read the database's address as they started; a new one came since, and no task was started by us."""
    return rollback.database is not None and rollback.database.redeploy and progress.acted_at is None


def _is_restarting(progress: ServiceProgress, view: ServiceView, world: World) -> bool:
    """Rule 4, asked again before each change on the way to zero: what has become healthy meanwhile is not stopped."""
    if progress.rung is not Rung.RESTART_FROM_ZERO or progress.restarted_at is not None:
        return False
    healthy = healthy_targets(view, world) if view.desired_count > 0 else ()
    return healthy is not None and not any(healthy)


def _snapshot(view: ServiceView, progress: ServiceProgress, target: Release, world: World) -> ServiceSnapshot:
    """What we deployed counts as the target whatever ECS made of it: the same update is never sent again.

    The definition says enough there: one of ours names the service's image by digest.
    """
    primary, newest, service = view.primary, view.newest, world.settings.service(target.service)
    deployed = primary.definition_arn == progress.target_definition_arn
    stoppable = newest is not None and newest.status in IN_FLIGHT and not progress.stop_refused
    source = newest.source if newest is not None and stoppable else None

    def mark(what: DeployedRevision) -> str:
        seen = identity_of(what, view, service, world)
        return target.fingerprint if seen.is_release(target) else seen.fingerprint

    return ServiceSnapshot(
        primary_fingerprint=target.fingerprint if deployed else mark(primary.deployed),
        primary_completed=primary.rollout_state == "COMPLETED",
        other_deployments=view.other_deployments,
        running_count=view.running_count,
        desired_count=view.desired_count,
        in_flight_source_fingerprint=mark(source) if source is not None else None,
        ecs_is_rolling_back=newest is not None and newest.status in ROLLING_BACK,
    )


def at_zero(service: ServiceSettings, view: ServiceView, world: World) -> AtZero:
    """How far it is on its way to no task at all."""
    scalable = world.scaling.look(service)
    return AtZero(
        scaling_is_active=scalable is not None and scalable.is_active,
        desired_count=view.desired_count,
        unstopped_tasks=world.services.unstopped_tasks(service),
    )


def _wanted(rollback: Rollback, target: Release, progress: ServiceProgress, view: ServiceView, world: World) -> int:
    """Capacity as it was before a fence of ours, as it is, as it was recorded: the most of them.

    Recorded capacity is asked for as far as scaling allows it now.
    """
    fenced = [
        int(owed.before["desired_count"])
        for owed in rollback.open_obligations()
        if owed.kind is ObligationKind.FENCE and rollback.service_owing(owed) == target.service
    ]
    least = world.settings.policy.restart_desired_count if progress.rung is Rung.RESTART_FROM_ZERO else 0
    most = progress.scaling_maximum
    least = least if most is None else min(least, most)
    return max(desired_count_for(target, view.desired_count, most), least, *fenced)


def capacity_asked(target: Release, progress: ServiceProgress, view: ServiceView, world: World) -> ServiceProgress:
    """The progress with what scaling allows, asked only where more than what runs was recorded.

    Without an answer the last one holds; without any the recorded count is used, and the report says so.
    """
    if target.desired_count <= view.desired_count:
        return progress
    recorded = f"{target.version} was recorded with {target.desired_count} tasks"
    try:
        scalable = world.scaling.look(world.settings.service(target.service))
    except OutsideFailure as failure:
        if progress.scaling_maximum is not None:
            return progress
        return progress.noted(f"{recorded}, which were asked for: scaling could not be asked ({failure})")
    most = scalable.max_capacity if scalable is not None else None
    if most is not None and most < target.desired_count:
        progress = progress.noted(f"{recorded}, scaling allows {most} now: no more than that were asked for")
    return progress.but(scaling_maximum=most)


def _restarted_unseen(progress: ServiceProgress, view: ServiceView) -> ServiceProgress:
    """It died between the start from zero and the save: the intent was carried out if tasks are wanted again."""
    intent = progress.intent
    if intent is None or intent.action != Move.START_FROM_ZERO or progress.restarted_at is not None:
        return progress
    if view.desired_count == 0:
        return progress
    return progress.but(restarted_at=intent.at, intent=None)


def _is_stuck(progress: ServiceProgress, view: ServiceView, now: datetime, world: World) -> bool:
    """Nothing came of what we did, or ECS has given the deployment up; forced anew once, and never after a restart."""
    if progress.forced_anew_at is not None or progress.restarted_at is not None:
        return False
    acted = progress.acted_at or progress.started_at
    since = max(acted, progress.started_at, progress.target_since or progress.started_at)
    waited = now - since > timedelta(minutes=world.settings.policy.stuck_minutes)
    too_few = view.primary.running_count < view.desired_count  # others may take minutes to drain
    return (waited and too_few) or (progress.acted_at is not None and view.primary.rollout_state == "FAILED")


def _too_late(rollback: Rollback, why: str, view: ServiceView, world: World) -> Rollback:
    """Up the ladder; but a target that serves, beside others that still drain, is left to Verify."""
    assert rollback.service is not None  # noqa: S101 - the caller set it
    if footing_of(rollback, view, world).is_firm:
        return rollback.but(service=rollback.service.but(done_at=world.clock.now(), intent=None), wait_seconds=0)
    return escalate(rollback, why, view, world)


def _limit(rung: Rung, world: World) -> timedelta:
    policy = world.settings.policy
    minutes = {
        Rung.SERVICE: policy.service_timeout_minutes,
        Rung.EMERGENCY: policy.emergency_timeout_minutes,
        Rung.RESTART_FROM_ZERO: policy.restart_timeout_minutes,
    }
    return timedelta(minutes=minutes[rung])


def _acted(
    rollback: Rollback, progress: ServiceProgress, intent: Intent, move: Move, view: ServiceView, world: World
) -> Rollback:
    try:
        act(rollback, move, intent, view, world)
    except CallRefused as refused:
        if move is not Move.STOP_DEPLOYMENT:
            raise
        return rollback.but(service=progress.but(intent=None, stop_refused=str(refused)), wait_seconds=0)
    now = world.clock.now()
    done = progress.but(
        intent=None,
        acted_at=progress.acted_at or now,
        forced_anew_at=now if move is Move.FORCE_NEW_DEPLOYMENT else progress.forced_anew_at,
        restarted_at=now if move is Move.START_FROM_ZERO else progress.restarted_at,
        moves=_with(progress.moves, move),
    )
    return rollback.but(service=done, wait_seconds=world.settings.policy.poll_seconds)


def _with(moves: tuple[str, ...], move: Move) -> tuple[str, ...]:
    return moves if moves and moves[-1] == move else (*moves, move)
