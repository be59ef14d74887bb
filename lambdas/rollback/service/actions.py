"""The changes a rollback makes to an ECS service: announced in the ledger, then made under the lease (rule 9)."""

from typing import Any

from rollback.domain.escalation import Rung
from rollback.domain.rollback import Intent, Obligation, ObligationKind, Rollback, ServiceProgress, not_owed_yet
from rollback.identity.task_definition import registered_definition
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.service.next_action import Move
from rollback.service.next_target import is_chosen

_LEAST_MAXIMUM_PERCENT = 200  # rule 4: all replacements may start at once, beside what still serves
_DEPLOYS = frozenset({Move.UPDATE_SERVICE, Move.FORCE_NEW_DEPLOYMENT, Move.START_FROM_ZERO})


def intend(
    rollback: Rollback, progress: ServiceProgress, move: Move, view: ServiceView, wanted: int, world: World
) -> Rollback:
    """Write down what the next call will do; the save is conditional on the lease (`walk` sees the fresh intent)."""
    arguments: dict[str, Any] = {"desired_count": wanted}
    owed: list[Obligation] = []
    if move is Move.STOP_DEPLOYMENT and view.newest is not None:
        arguments = {"service_deployment_arn": view.newest.arn}
    if move in _DEPLOYS:
        deploying, configuration = _deploying(rollback, progress, view, world)
        arguments |= deploying
        owed += configuration
    if move is Move.FORCE_NEW_DEPLOYMENT:
        arguments["instead_of"] = view.primary.id
    if move is Move.SUSPEND_SCALING:
        arguments, scaling = _suspending(rollback, world)
        owed += scaling
    if move is Move.SCALE_TO_ZERO:
        arguments = {"desired_count": 0}
        owed.append(Obligation(kind=ObligationKind.FENCE, before={"desired_count": view.desired_count}))
    intent = Intent(action=move, at=world.clock.now(), arguments=arguments)
    deploys = arguments.get("definition_arn", progress.target_definition_arn)
    intended = progress.but(intent=intent, target_definition_arn=deploys)
    fresh = tuple(new for o in owed if (new := not_owed_yet(o, rollback)).before)
    return rollback.but(service=intended, obligations=(*rollback.obligations, *fresh), wait_seconds=0)


def is_meant(intent: Intent, move: Move, view: ServiceView) -> bool:
    """Whether an intent still says what is to be done: another deployment may have begun since it was written."""
    if intent.action != move:
        return False
    stops, instead_of = intent.arguments.get("service_deployment_arn"), intent.arguments.get("instead_of")
    if instead_of is not None:
        return bool(instead_of == view.primary.id)
    return stops is None or (view.newest is not None and stops == view.newest.arn)


def act(rollback: Rollback, move: Move, intent: Intent, view: ServiceView, world: World) -> None:
    """Make the announced change.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
    """
    assert_lease(rollback, world)
    settings, given = world.settings.service(rollback.service_name), intent.arguments
    match move:
        case Move.STOP_DEPLOYMENT:
            world.services.stop_deployment(given["service_deployment_arn"])
        case Move.SUSPEND_SCALING:
            if given:
                world.scaling.put(settings, ScalableTarget.model_validate(given))
        case Move.RAISE_CAPACITY | Move.SCALE_TO_ZERO:
            world.services.update(settings, desired_count=given["desired_count"])
        case _:
            world.services.update(
                settings,
                definition_arn=given["definition_arn"],
                desired_count=max(given["desired_count"], view.desired_count),
                deployment_configuration=given.get("deployment_configuration"),
                force_new_deployment=move is not Move.UPDATE_SERVICE,
            )


def quiet_configuration(configuration: dict[str, Any], rung: Rung) -> dict[str, Any]:
    """Rule 5: breaker and alarms stay on, but without rollback: ECS would go to the last COMPLETED, the bad one.

    Rule 4: an emergency keeps `minimumHealthyPercent`, and lets all replacements start at once.
    """
    quiet = dict(configuration)
    for part in ("deploymentCircuitBreaker", "alarms"):
        if quiet.get(part, {}).get("rollback"):
            quiet[part] = {**quiet[part], "rollback": False}
    if rung is not Rung.SERVICE and quiet.get("maximumPercent", _LEAST_MAXIMUM_PERCENT) < _LEAST_MAXIMUM_PERCENT:
        quiet["maximumPercent"] = _LEAST_MAXIMUM_PERCENT
    return quiet


def _deploying(
    rollback: Rollback, progress: ServiceProgress, view: ServiceView, world: World
) -> tuple[dict[str, Any], list[Obligation]]:
    assert rollback.plan is not None  # noqa: S101 - the caller looked
    assert rollback.plan.target is not None  # noqa: S101
    newest_good = not is_chosen(rollback) and not rollback.plan.stands_in_for
    arguments: dict[str, Any] = {
        "definition_arn": registered_definition(rollback.plan.target, world, is_last_known_good=newest_good)
    }
    quiet = quiet_configuration(view.deployment_configuration, progress.rung)
    before = {part: was for part, was in view.deployment_configuration.items() if quiet[part] != was}
    if not before:
        return arguments, []
    # The changed parts only: UpdateService keeps the others, also those that no version of ours knows.
    arguments["deployment_configuration"] = {part: quiet[part] for part in before}
    return arguments, [Obligation(kind=ObligationKind.DEPLOYMENT_CONFIGURATION, before=before)]


def _suspending(rollback: Rollback, world: World) -> tuple[dict[str, Any], list[Obligation]]:
    """Rule 2: in, out and scheduled, over what stood there exactly."""
    scalable = world.scaling.look(world.settings.service(rollback.service_name))
    if scalable is None:
        return {}, []
    owed = Obligation(kind=ObligationKind.SCALING, before=scalable.model_dump())
    return scalable.all_suspended().model_dump(), [owed]
