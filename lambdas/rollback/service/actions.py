"""The changes that a rollback makes to an ECS service, announced and sent by `rollback.intents.announce`."""

from functools import partial
from typing import Any

from rollback.domain.escalation import EscalationLevel
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import DeployingRollback, Rollback
from rollback.domain.service_progress import Intent
from rollback.identity.task_definition import ensure_registered_definition
from rollback.intents.announce import announce, send_under_lease
from rollback.intents.caused import record_caused_deployment
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.service.next_action import ServiceMove
from rollback.service.next_target import is_operator_choice
from rollback.service.ports import ServiceChangePorts

_MIN_MAXIMUM_PERCENT = 200  # rule 4: all replacements may start at once, beside the tasks that still serve
_DEPLOYS = frozenset({ServiceMove.UPDATE_SERVICE, ServiceMove.FORCE_NEW_DEPLOYMENT, ServiceMove.START_FROM_ZERO})


def announce_change(
    deploying: DeployingRollback,
    move: ServiceMove,
    view: ServiceView,
    target_desired_count: int,
    ports: ServiceChangePorts,
) -> Rollback:
    """Announce the call that the next round makes. The runner saves a new intent only under the lease.

    Args:
        deploying: the rollback with its target.
        move: the move that is announced.
        view: ECS's description of the service.
        target_desired_count: desired count for the target.
        ports: access to AWS, Neon and the ledger.
    """
    rollback, progress = deploying.rollback, deploying.progress
    # A drill leaves the count to ECS and to autoscaling.
    arguments: dict[str, Any] = {} if rollback.is_drill else {"desired_count": target_desired_count}
    obligations: list[Obligation] = []
    if move is ServiceMove.STOP_DEPLOYMENT and view.newest is not None:
        arguments = {"service_deployment_arn": view.newest.arn}
    if move in _DEPLOYS:
        parameters, configuration_obligations = _deployment_parameters(deploying, view, ports)
        arguments |= parameters
        obligations += configuration_obligations
    if move is ServiceMove.FORCE_NEW_DEPLOYMENT:
        arguments["replaced_deployment_id"] = view.primary.id
    if move is ServiceMove.SUSPEND_SCALING:
        arguments, scaling_obligations = _suspension_parameters(rollback, ports)
        obligations += scaling_obligations
    if move is ServiceMove.SCALE_TO_ZERO:
        arguments = {"desired_count": 0}
        obligations.append(Obligation(kind=ObligationKind.FENCE, before={"desired_count": view.desired_count}))
    definition_arn = arguments.get("definition_arn", progress.target_definition_arn)
    return announce(
        rollback,
        "service",
        progress,
        move,
        ports,
        obligations=obligations,
        arguments=arguments,
        target_definition_arn=definition_arn,
    )


def is_intent_current(intent: Intent, move: ServiceMove, view: ServiceView) -> bool:
    """Whether an intent still names the deployment to change: another one may have begun since."""
    if intent.action != move:
        return False
    stopped_deployment_arn = intent.arguments.get("service_deployment_arn")
    replaced_deployment_id = intent.arguments.get("replaced_deployment_id")
    if replaced_deployment_id is not None:
        return bool(replaced_deployment_id == view.primary.id)
    return stopped_deployment_arn is None or (view.newest is not None and stopped_deployment_arn == view.newest.arn)


def send_change(
    rollback: Rollback, move: ServiceMove, intent: Intent, view: ServiceView, ports: ServiceChangePorts
) -> None:
    """Send the announced change.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
    """
    send_under_lease(rollback, partial(_call_ecs, rollback, move, intent, view, ports), ports)


def _call_ecs(
    rollback: Rollback, move: ServiceMove, intent: Intent, view: ServiceView, ports: ServiceChangePorts
) -> None:
    settings, arguments = ports.settings.service(rollback.service_name), intent.arguments
    match move:
        case ServiceMove.STOP_DEPLOYMENT:
            ports.services.stop_deployment(arguments["service_deployment_arn"])
        case ServiceMove.SUSPEND_SCALING:
            if arguments:
                ports.scaling.put(settings, ScalableTarget.model_validate(arguments))
        case ServiceMove.RAISE_CAPACITY | ServiceMove.SCALE_TO_ZERO:
            ports.services.update(settings, desired_count=arguments["desired_count"])
        case _:
            if rollback.is_drill:  # the definition is the team's own, so only this record says who deployed it
                now = ports.clock.now()
                record_caused_deployment(settings.name, view, now, ports, rollback_id=rollback.id)
            ports.services.update(
                settings,
                definition_arn=arguments["definition_arn"],
                desired_count=None if rollback.is_drill else max(arguments["desired_count"], view.desired_count),
                deployment_configuration=arguments.get("deployment_configuration"),
                force_new_deployment=move is not ServiceMove.UPDATE_SERVICE,
            )


def disable_ecs_rollback(configuration: dict[str, Any], escalation_level: EscalationLevel) -> dict[str, Any]:
    """Turn ECS's own rollback off (rule 5): ECS would go back to the last COMPLETED deployment, the bad one.

    Circuit breaker and alarms stay on. An emergency keeps `minimumHealthyPercent`, and lets all replacements start at
    once (rule 4: `maximumPercent` is at least 200).
    """
    changed = dict(configuration)
    for part in ("deploymentCircuitBreaker", "alarms"):
        if changed.get(part, {}).get("rollback"):
            changed[part] = {**changed[part], "rollback": False}
    if (
        escalation_level is not EscalationLevel.SERVICE
        and changed.get("maximumPercent", _MIN_MAXIMUM_PERCENT) < _MIN_MAXIMUM_PERCENT
    ):
        changed["maximumPercent"] = _MIN_MAXIMUM_PERCENT
    return changed


def _deployment_parameters(
    deploying: DeployingRollback, view: ServiceView, ports: ServiceChangePorts
) -> tuple[dict[str, Any], list[Obligation]]:
    is_last_known_good = not is_operator_choice(deploying.rollback) and not deploying.plan.skipped_last_known_good
    definition_arn = (
        view.primary.definition_arn
        if deploying.rollback.is_drill
        else ensure_registered_definition(deploying.target, ports, is_last_known_good=is_last_known_good)
    )
    arguments: dict[str, Any] = {"definition_arn": definition_arn}
    changed = disable_ecs_rollback(view.deployment_configuration, deploying.progress.escalation_level)
    recorded_parts = {part: value for part, value in view.deployment_configuration.items() if changed[part] != value}
    if not recorded_parts:
        return arguments, []
    # The changed parts only: UpdateService keeps all others, also parts that this code does not know.
    arguments["deployment_configuration"] = {part: changed[part] for part in recorded_parts}
    return arguments, [Obligation(kind=ObligationKind.DEPLOYMENT_CONFIGURATION, before=recorded_parts)]


def _suspension_parameters(rollback: Rollback, ports: ServiceChangePorts) -> tuple[dict[str, Any], list[Obligation]]:
    """Suspend scaling in, out and scheduled, and record the exact prior state (rule 2)."""
    scalable = ports.scaling.describe(ports.settings.service(rollback.service_name))
    if scalable is None:
        return {}, []
    obligation = Obligation(kind=ObligationKind.SCALING, before=scalable.model_dump())
    return scalable.all_suspended().model_dump(), [obligation]
