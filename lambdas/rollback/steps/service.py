"""Service: bring the ECS service to the target, one safe move at a time.

A move that changes ECS takes two calls: the first writes the intent under a lease that outlasts the function (rule 9),
the second looks again, reads the lease, and acts. A crash in between finds the intent, and looks before it acts.
"""

from datetime import datetime, timedelta
from typing import Any

from rollback.model.errors import LeaseLost
from rollback.model.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.model.release import Release
from rollback.model.rollback import Intent, Obligation, ObligationKind, Outcome, Rollback, ServiceProgress
from rollback.model.service_move import Move, ServiceSnapshot, desired_count_for, next_move
from rollback.model.service_view import IN_FLIGHT, ROLLING_BACK, ServiceView
from rollback.steps.definition import registered_definition
from rollback.steps.ports import World
from rollback.steps.running import fingerprint_of

_CHANGES = frozenset({Move.STOP_DEPLOYMENT, Move.UPDATE_SERVICE, Move.RAISE_CAPACITY})


def service(rollback: Rollback, world: World) -> Rollback:
    """One look, at most one change."""
    assert rollback.plan is not None  # noqa: S101 - the route comes here only with a plan that has a target
    assert rollback.plan.target is not None  # noqa: S101
    policy, now = world.settings.policy, world.clock.now()
    progress = rollback.service or ServiceProgress(started_at=now)
    target = rollback.plan.target
    view = world.services.look(world.settings.service(rollback.service_name))
    snapshot = _snapshot(view, progress, target, world)
    wanted = desired_count_for(target, view.desired_count)
    move = next_move(snapshot, target.fingerprint, wanted)
    if move is Move.DONE:
        return rollback.but(service=_but(progress, done_at=now, intent=None), wait_seconds=0)
    if now - progress.started_at > timedelta(minutes=policy.service_timeout_minutes):
        events = " | ".join(view.last_events[:3])
        reason = f"{target.version} did not settle in {policy.service_timeout_minutes:g} minutes; last: {events}"
        return rollback.but(service=progress, outcome=Outcome.FAILED, reason=reason, wait_seconds=0)
    if move not in _CHANGES:
        moves = _with(progress.moves, move)
        return rollback.but(service=_but(progress, moves=moves), wait_seconds=policy.poll_seconds)
    if progress.intent is None or not _is_meant(progress.intent, move, view):
        return _intend(rollback, progress, move, view, target, wanted, world)
    _assert_lease(rollback, now, world)
    _act(move, progress.intent, view, rollback.service_name, world)
    acted = _but(progress, intent=None, acted_at=progress.acted_at or now, moves=_with(progress.moves, move))
    return rollback.but(service=acted, wait_seconds=policy.poll_seconds)


def _snapshot(view: ServiceView, progress: ServiceProgress, target: Release, world: World) -> ServiceSnapshot:
    """What we deployed counts as the target whatever ECS made of it: the same update is never sent again."""
    primary, newest = view.primary, view.newest
    deployed = primary.definition_arn == progress.target_definition_arn
    source = newest.source_definition_arn if newest is not None and newest.status in IN_FLIGHT else None
    return ServiceSnapshot(
        primary_fingerprint=target.fingerprint if deployed else fingerprint_of(primary.definition_arn, view, world),
        primary_completed=primary.rollout_state == "COMPLETED",
        other_deployments=sum(1 for d in view.deployments if not d.is_primary),
        running_count=view.running_count,
        desired_count=view.desired_count,
        in_flight_source_fingerprint=fingerprint_of(source, view, world) if source is not None else None,
        ecs_is_rolling_back=newest is not None and newest.status in ROLLING_BACK,
    )


def _intend(
    rollback: Rollback,
    progress: ServiceProgress,
    move: Move,
    view: ServiceView,
    target: Release,
    wanted: int,
    world: World,
) -> Rollback:
    """Write down what the next call will do; the save is conditional on the lease (`walk` sees the fresh intent)."""
    arguments: dict[str, Any] = {"desired_count": wanted}
    obligations = rollback.obligations
    if move is Move.STOP_DEPLOYMENT and view.newest is not None:
        arguments = {"service_deployment_arn": view.newest.arn}
    if move is Move.UPDATE_SERVICE:
        asked = rollback.request.target_version
        newest_good = asked is None or asked in SYNONYMS_OF_LAST_KNOWN_GOOD
        arguments["definition_arn"] = registered_definition(target, world, is_last_known_good=newest_good)
        quiet = without_ecs_rollback(view.deployment_configuration)
        before = {part: was for part, was in view.deployment_configuration.items() if quiet[part] != was}
        if before:
            arguments["deployment_configuration"] = quiet
            if not any(o.kind is ObligationKind.DEPLOYMENT_CONFIGURATION for o in rollback.open_obligations()):
                owed = Obligation(kind=ObligationKind.DEPLOYMENT_CONFIGURATION, before=before)
                obligations = (*obligations, owed)
    intent = Intent(action=move, at=world.clock.now(), arguments=arguments)
    deploys = arguments.get("definition_arn", progress.target_definition_arn)
    intended = _but(progress, intent=intent, target_definition_arn=deploys)
    return rollback.but(service=intended, obligations=obligations, wait_seconds=0)


def _is_meant(intent: Intent, move: Move, view: ServiceView) -> bool:
    """Whether an intent still says what is to be done: another deployment may have begun since it was written."""
    if intent.action != move:
        return False
    stops = intent.arguments.get("service_deployment_arn")
    return stops is None or (view.newest is not None and stops == view.newest.arn)


def without_ecs_rollback(configuration: dict[str, Any]) -> dict[str, Any]:
    """Rule 5: breaker and alarms stay on, but without rollback: ECS would go to the last COMPLETED, the bad one."""
    quiet = dict(configuration)
    for part in ("deploymentCircuitBreaker", "alarms"):
        if quiet.get(part, {}).get("rollback"):
            quiet[part] = {**quiet[part], "rollback": False}
    return quiet


def _assert_lease(rollback: Rollback, now: datetime, world: World) -> None:
    held = world.ledger.lease(rollback.service_name)
    until = now + timedelta(seconds=world.settings.policy.act_timeout_seconds)
    ours = held is not None and held.counter == rollback.lease_counter and held.is_held_by(rollback.id, until)
    if not ours:
        holder = held.holder if held is not None else "nobody"
        raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name} ({holder} does)")


def _act(move: Move, intent: Intent, view: ServiceView, service_name: str, world: World) -> None:
    settings = world.settings.service(service_name)
    if move is Move.STOP_DEPLOYMENT:
        world.services.stop_deployment(intent.arguments["service_deployment_arn"])
    elif move is Move.RAISE_CAPACITY:
        world.services.update(settings, desired_count=intent.arguments["desired_count"])
    else:
        world.services.update(
            settings,
            definition_arn=intent.arguments["definition_arn"],
            desired_count=max(intent.arguments["desired_count"], view.desired_count),
            deployment_configuration=intent.arguments.get("deployment_configuration"),
        )


def _but(progress: ServiceProgress, **changes: Any) -> ServiceProgress:
    return ServiceProgress.model_validate({**dict(progress), **changes})


def _with(moves: tuple[str, ...], move: Move) -> tuple[str, ...]:
    return moves if moves and moves[-1] == move else (*moves, move)
