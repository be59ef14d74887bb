"""Service: bring the ECS service to the target, one safe move at a time.

A move that changes ECS takes two calls: the first writes the intent under a lease that outlasts the function (rule 9),
the second looks again, reads the lease, and acts. A crash in between finds the intent, and looks before it acts.
"""

from datetime import datetime, timedelta

from rollback.domain.database.progress import RecreateProgress
from rollback.domain.escalation import EscalationLevel
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Intent, ObligationKind, Outcome, Rollback, ServiceProgress
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.identity.identify import identify_deployment
from rollback.intents.waiting import change_deadline
from rollback.leases.holder import find_rollback
from rollback.names import DESIRED_COUNT_CHECK
from rollback.ports.world import World
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import IN_FLIGHT, ROLLING_BACK, DeployedRevision, ServiceView
from rollback.service.actions import announce_change, is_intent_current, make_change
from rollback.service.drain_status import record_service_running
from rollback.service.escalate import assess_service_health, escalate, healthy_targets
from rollback.service.newer_deployment import yield_to_newer_release
from rollback.service.next_action import (
    SERVICE_CHANGES,
    DrainStatus,
    ServiceMove,
    ServiceSnapshot,
    Situation,
    desired_count_for,
    next_restart_move,
    next_service_move,
)
from rollback.service.stack import read_stack_status


def service(rollback: Rollback, world: World) -> Rollback:
    """One look, at most one change."""
    assert rollback.plan is not None  # noqa: S101 - the route comes here only with a plan that has a target
    assert rollback.plan.target is not None  # noqa: S101
    now, target = world.clock.now(), rollback.plan.target
    progress = rollback.service or _start_progress(rollback, now, world)
    if now < _inherited_change_deadline(rollback, world):
        return rollback.evolve(service=progress, wait_seconds=world.settings.policy.poll_seconds)
    view = world.services.describe(world.settings.service(rollback.service_name))
    rollback = record_service_running(rollback, rollback.service_name, view, now)
    rollback, is_over = yield_to_newer_release(
        rollback.evolve(service=_recover_unsaved_restart(progress, view)), view, world
    )
    if is_over:
        return rollback
    if view.desired_count == 0 and not rollback.is_fenced and _had_wanted_tasks(rollback):
        reason = f"no task is wanted any more (scaled to zero); none is started, {target.version} was not seen to run"
        return rollback.evolve(outcome=Outcome.FAILED, reason=reason, wait_seconds=0)
    progress = rollback.service or progress
    progress = add_scaling_minimum(target, progress, view, world)
    wanted = _wanted_task_count(rollback, target, progress, view, world)
    progress, stack = _check_stack(progress, target, now, world)
    move = _choose_move(progress, target, view, wanted, stack, now, world)
    if move in (ServiceMove.DONE, ServiceMove.WAIT_FOR_TARGET) and _has_old_secret(rollback, progress):
        move = ServiceMove.FORCE_NEW_DEPLOYMENT
    if move is ServiceMove.DONE and (progress.reassert_until is None or now >= progress.reassert_until):
        return rollback.evolve(service=progress.evolve(done_at=now, intent=None), wait_seconds=0)
    limit = _level_timeout(progress.escalation_level, world)
    if now - progress.escalation_level_since > limit:
        why = f"{target.version} did not settle in {limit.total_seconds() / 60:g} minutes"
        return _escalate_on_timeout(rollback.evolve(service=progress), why, view, world)
    if move not in SERVICE_CHANGES:
        waiting = progress.evolve(moves=_append_move(progress.moves, move))
        return rollback.evolve(service=waiting, wait_seconds=world.settings.policy.poll_seconds)
    if progress.intent is None or not is_intent_current(progress.intent, move, view):
        return announce_change(rollback, progress, move, view, wanted, world)
    return _make_change(rollback, progress, progress.intent, move, view, world)


def _had_wanted_tasks(rollback: Rollback) -> bool:
    """Whether tasks were wanted as the plan was made; an operator may roll back a service that stands at zero."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    return any(c.name == DESIRED_COUNT_CHECK and int(c.evidence.get("desired_count", 0)) > 0 for c in checks)


def _start_progress(rollback: Rollback, now: datetime, world: World) -> ServiceProgress:
    """Whoever took a living rollback over asserts what it did until the other's function has run out (rule 9)."""
    emergency = rollback.request.type is RollbackType.EMERGENCY
    limit = timedelta(seconds=world.settings.policy.act_timeout_seconds)
    return ServiceProgress(
        started_at=now,
        escalation_level=EscalationLevel.EMERGENCY if emergency else EscalationLevel.SERVICE,
        escalation_level_since=now,
        reassert_until=(rollback.admitted_at or now) + limit if rollback.supersedes is not None else None,
    )


def _inherited_change_deadline(rollback: Rollback, world: World) -> datetime:
    """Rule 9: a change of the database that was announced by the rollback that was taken over may land until then."""
    before = find_rollback(rollback.supersedes, world) if rollback.supersedes is not None else None
    intent = before.database.intent if before is not None and before.database is not None else None
    if intent is None:
        return rollback.created_at
    lost = world.settings.database.lost_answer_seconds if world.settings.database is not None else 0
    return change_deadline(intent.at, lost, world)


def _check_stack(
    progress: ServiceProgress, target: Release, now: datetime, world: World
) -> tuple[ServiceProgress, StackState]:
    """What CloudFormation is doing; an emergency proceeds over it (rule 6), and does not ask.

    Not known counts as an update under way, so that only StopServiceDeployment is safe; but not for longer than a
    deployment may be stuck, and not at all where CloudFormation refuses to tell. Then the rollback goes on, and looks
    whether it stands: an update that overwrites it is found by Verify.
    """
    if progress.escalation_level is not EscalationLevel.SERVICE:
        return progress, StackState.STABLE
    stack = read_stack_status(world.settings.service(target.service), world)
    if stack.state is not StackState.NOT_KNOWN:
        return progress, stack.state
    patience = timedelta(minutes=world.settings.policy.stuck_minutes)
    if not stack.is_for_good and now - progress.escalation_level_since < patience:
        return progress, StackState.UPDATING
    note = "went on without knowing whether CloudFormation changes the service, which could not be asked"
    return progress.add_note(note), StackState.STABLE


def _choose_move(
    progress: ServiceProgress,
    target: Release,
    view: ServiceView,
    wanted: int,
    stack: StackState,
    now: datetime,
    world: World,
) -> ServiceMove:
    service = world.settings.service(target.service)
    if _is_restarting(progress, view, world):
        return next_restart_move(read_drain_status(service, view, world))
    emergency = progress.escalation_level is not EscalationLevel.SERVICE
    situation = Situation(
        emergency=emergency,
        stack=stack,
        is_stuck=_is_stuck(progress, view, now, world),
    )
    return next_service_move(_take_snapshot(view, progress, target, world), target.fingerprint, wanted, situation)


def _has_old_secret(rollback: Rollback, progress: ServiceProgress) -> bool:
    """Its tasks read the database's address as they started; a new one came since, and no task was started by us."""
    has_new_address = isinstance(rollback.database, RecreateProgress) and rollback.database.is_redeploy_needed
    return has_new_address and progress.acted_at is None


def _is_restarting(progress: ServiceProgress, view: ServiceView, world: World) -> bool:
    """Rule 4, asked again before each change on the way to zero: what has become healthy meanwhile is not stopped."""
    if progress.escalation_level is not EscalationLevel.RESTART_FROM_ZERO or progress.restarted_at is not None:
        return False
    healthy = healthy_targets(view, world) if view.desired_count > 0 else ()
    return healthy is not None and not any(healthy)


def _take_snapshot(view: ServiceView, progress: ServiceProgress, target: Release, world: World) -> ServiceSnapshot:
    """What we deployed counts as the target whatever ECS made of it: the same update is never sent again.

    The definition says enough there: one of ours names the service's image by digest.
    """
    primary, newest, service = view.primary, view.newest, world.settings.service(target.service)
    deployed = primary.definition_arn == progress.target_definition_arn
    stoppable = newest is not None and newest.status in IN_FLIGHT and not progress.stop_refused
    source = newest.source if newest is not None and stoppable else None

    def mark(what: DeployedRevision) -> str:
        seen = identify_deployment(what, view, service, world)
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


def read_drain_status(service: ServiceSettings, view: ServiceView, world: World) -> DrainStatus:
    """How far it is on its way to no task at all."""
    scalable = world.scaling.describe(service)
    return DrainStatus(
        scaling_is_active=scalable is not None and scalable.is_active,
        desired_count=view.desired_count,
        unstopped_tasks=world.services.unstopped_tasks(service),
    )


def _wanted_task_count(
    rollback: Rollback, target: Release, progress: ServiceProgress, view: ServiceView, world: World
) -> int:
    """Capacity as it was before a fence of ours, as it is, as it was recorded: the most of them.

    Recorded capacity is asked for as far as scaling allows it now.
    """
    fenced = [
        int(owed.before["desired_count"])
        for owed in rollback.open_obligations()
        if owed.kind is ObligationKind.FENCE and rollback.service_of_obligation(owed) == target.service
    ]
    least = (
        world.settings.policy.restart_desired_count
        if progress.escalation_level is EscalationLevel.RESTART_FROM_ZERO
        else 0
    )
    most = progress.scaling_maximum
    least = least if most is None else min(least, most)
    return max(desired_count_for(target, view.desired_count, most), least, *fenced)


def add_scaling_minimum(target: Release, progress: ServiceProgress, view: ServiceView, world: World) -> ServiceProgress:
    """The progress with what scaling allows, asked only where more than what runs was recorded.

    Without an answer the last one holds; without any the recorded count is used, and the report says so.
    """
    if target.desired_count <= view.desired_count:
        return progress
    recorded = f"{target.version} was recorded with {target.desired_count} tasks"
    try:
        scalable = world.scaling.describe(world.settings.service(target.service))
    except ExternalServiceError as failure:
        if progress.scaling_maximum is not None:
            return progress
        return progress.add_note(f"{recorded}, which were asked for: scaling could not be asked ({failure})")
    most = scalable.max_capacity if scalable is not None else None
    if most is not None and most < target.desired_count:
        progress = progress.add_note(f"{recorded}, scaling allows {most} now: no more than that were asked for")
    return progress.evolve(scaling_maximum=most)


def _recover_unsaved_restart(progress: ServiceProgress, view: ServiceView) -> ServiceProgress:
    """It died between the start from zero and the save: the intent was carried out if tasks are wanted again."""
    intent = progress.intent
    if intent is None or intent.action != ServiceMove.START_FROM_ZERO or progress.restarted_at is not None:
        return progress
    if view.desired_count == 0:
        return progress
    return progress.evolve(restarted_at=intent.at, intent=None)


def _is_stuck(progress: ServiceProgress, view: ServiceView, now: datetime, world: World) -> bool:
    """Nothing came of what we did, or ECS has given the deployment up; forced anew once, and never after a restart."""
    if progress.redeployment_forced_at is not None or progress.restarted_at is not None:
        return False
    acted = progress.acted_at or progress.started_at
    since = max(acted, progress.started_at, progress.target_since or progress.started_at)
    waited = now - since > timedelta(minutes=world.settings.policy.stuck_minutes)
    too_few = view.primary.running_count < view.desired_count  # others may take minutes to drain
    return (waited and too_few) or (progress.acted_at is not None and view.primary.rollout_state == "FAILED")


def _escalate_on_timeout(rollback: Rollback, why: str, view: ServiceView, world: World) -> Rollback:
    """Up the ladder; but a target that serves, beside others that still drain, is left to Verify."""
    assert rollback.service is not None  # noqa: S101 - the caller set it
    if assess_service_health(rollback, view, world).is_healthy:
        return rollback.evolve(service=rollback.service.evolve(done_at=world.clock.now(), intent=None), wait_seconds=0)
    return escalate(rollback, why, view, world)


def _level_timeout(escalation_level: EscalationLevel, world: World) -> timedelta:
    policy = world.settings.policy
    minutes = {
        EscalationLevel.SERVICE: policy.service_timeout_minutes,
        EscalationLevel.EMERGENCY: policy.emergency_timeout_minutes,
        EscalationLevel.RESTART_FROM_ZERO: policy.restart_timeout_minutes,
    }
    return timedelta(minutes=minutes[escalation_level])


def _make_change(
    rollback: Rollback, progress: ServiceProgress, intent: Intent, move: ServiceMove, view: ServiceView, world: World
) -> Rollback:
    try:
        make_change(rollback, move, intent, view, world)
    except CallRefused as refused:
        if move is not ServiceMove.STOP_DEPLOYMENT:
            raise
        return rollback.evolve(service=progress.evolve(intent=None, stop_refused=str(refused)), wait_seconds=0)
    now = world.clock.now()
    done = progress.evolve(
        intent=None,
        acted_at=progress.acted_at or now,
        redeployment_forced_at=now if move is ServiceMove.FORCE_NEW_DEPLOYMENT else progress.redeployment_forced_at,
        restarted_at=now if move is ServiceMove.START_FROM_ZERO else progress.restarted_at,
        moves=_append_move(progress.moves, move),
    )
    return rollback.evolve(service=done, wait_seconds=world.settings.policy.poll_seconds)


def _append_move(moves: tuple[str, ...], move: ServiceMove) -> tuple[str, ...]:
    return moves if moves and moves[-1] == move else (*moves, move)
