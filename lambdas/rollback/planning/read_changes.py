"""Read the facts for the list of planned changes. Nothing that fails ends a plan: the list names what was not read."""

from rollback.domain.changes.planned_changes import PlannedChanges
from rollback.domain.database.branch_observation import Observation
from rollback.domain.escalation import EscalationLevel
from rollback.domain.plan import Plan
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import RollbackError
from rollback.identity.release_definition import find_definition
from rollback.planning.change_rules import ChangeFacts, ServiceFacts, list_changes
from rollback.planning.ports import ChangePorts
from rollback.service.actions import disable_ecs_rollback


def with_planned_changes(rollback: Rollback, ports: ChangePorts) -> Rollback:
    """Return the rollback with the list of changes in its plan. A drill changes nothing for good, and has no list."""
    plan = rollback.plan
    if plan is None or rollback.is_drill or (plan.target is None and plan.database is None):
        return rollback
    changes = _list(rollback, plan, ports)
    return rollback.evolve(plan=plan.model_copy(update={"changes": changes}))


def _list(rollback: Rollback, plan: Plan, ports: ChangePorts) -> PlannedChanges:
    service = ports.settings.service(rollback.service_name)
    try:
        view = ports.services.describe(service)
    except RollbackError as failure:
        return PlannedChanges(not_looked_at=(f"the changes of {service.name}: ECS could not be asked: {failure}",))
    is_emergency = rollback.request.type is RollbackType.EMERGENCY
    level = EscalationLevel.EMERGENCY if is_emergency else EscalationLevel.SERVICE
    running_definition, running_remark = find_definition(plan.running, ports)
    target_definition, target_remark = find_definition(plan.target, ports)
    has_branch_change = plan.database is not None
    facts = ChangeFacts(
        service=_read_service(service, ports, view.desired_count),
        now=ports.clock.now(),
        configuration=view.deployment_configuration,
        configuration_during=disable_ecs_rollback(view.deployment_configuration, level),
        writers=tuple(_read_service(writer, ports) for writer in ports.settings.writers()) if has_branch_change else (),
        running_definition=running_definition,
        target_definition=target_definition,
        definitions_remark="; ".join(remark for remark in (running_remark, target_remark) if remark),
        observation=_read_observation(ports) if has_branch_change else None,
    )
    return list_changes(plan, rollback.request.type, facts)


def _read_service(service: ServiceSettings, ports: ChangePorts, desired_count: int | None = None) -> ServiceFacts:
    """Read the count and the scalable target of one service; `desired_count` is given if it was read already."""
    count = desired_count
    try:
        if count is None:
            count = ports.services.describe(service).desired_count
    except RollbackError as failure:
        return ServiceFacts(service.name, None, problem=f"ECS could not be asked: {failure}")
    try:
        return ServiceFacts(service.name, count, ports.scaling.describe(service))
    except RollbackError as failure:
        problem = f"the scalable target, which may bound the desired count, could not be read: {failure}"
        return ServiceFacts(service.name, count, problem=problem)


def _read_observation(ports: ChangePorts) -> Observation | None:
    """The last observation of the standing branch; None: there is none, or the ledger did not answer."""
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return None
    try:
        return ports.ledger.observation(database.branch_key(None))
    except RollbackError:
        return None
