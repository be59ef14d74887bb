"""Reconnect: after data changed, give every service of the branch new connections, one service after the other.

The writers stood at zero tasks and start again. The readers ran on, so their pools, prepared statements, caches and
snapshots belong to data that is gone. A reader gets new tasks, or its own command runs. A reader that could not be
reconnected is reported and fails verification, but the restore stays.
"""

from datetime import datetime, timedelta

from rollback.conclusion.obligations import discharge_obligation
from rollback.database.changes.ports import WaitPorts
from rollback.database.reconnection.ports import CommandPorts, ReconnectionPorts
from rollback.database.reconnection.proof import prove_connection
from rollback.database.reconnection.turn import (
    Turn,
    assert_leases,
    database_settings,
    finish_service,
    hold_service_lease,
    is_late,
    run_task,
    save_connection,
    timeout_reason,
    wait_for_service,
)
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import CommandRun, DatabaseIntent, DatabaseProgress
from rollback.domain.database.reconnection import Reconnection, ReconnectMethod, ServiceConnection
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy
from rollback.errors import CallRefused, ExternalServiceError, UnsupportedService
from rollback.intents.caused import record_caused_deployment
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasLedger, HasSettings
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import ENDED_ELSEWHERE, ROLLING_BACK, ServiceView
from rollback.service.one_off_task import why_failed
from rollback.service.ports import NewerReleasePorts
from rollback.service.stack import read_stack_status

DEPLOY_ACTION, RECONNECT_ACTION = "deploy", "reconnect_command"


def reconnect(rollback: Rollback, ports: ReconnectionPorts) -> Rollback:
    """Observe the service whose turn it is, and make at most one change.

    Raises:
        LeaseLost: another rollback holds the lease on the rollback's own service.
        ExternalServiceError: AWS or Neon did not answer. The record is complete; call again.
    """
    planned, database = rollback.planned_database(), rollback.begun_database()
    now, progress = ports.clock.now(), rollback.reconnection
    if progress is None:
        return rollback.evolve(reconnection=_start_reconnection(planned, ports), wait_seconds=0)
    for connection in progress.services:
        if connection.method is ReconnectMethod.STARTED and connection.finished_at is None:
            hold_service_lease(rollback, connection, ports)  # hold the lease from before its tasks start until they run
    fence = _next_fence_to_lift(rollback, progress, ports)
    if fence is not None:
        return discharge_obligation(rollback, fence, now, ports)
    current = progress.current
    if current is None:
        return rollback.evolve(reconnection=progress.ended(now), wait_seconds=0)
    turn = Turn(rollback, progress, current, _data_changed_at(planned, database))
    if current.began_at is None:
        return save_connection(turn, current.evolve(began_at=now), 0)
    try:
        return _reconcile_service(turn, ports)
    except (CallRefused, UnsupportedService) as refused:
        return finish_service(turn, current.failed(str(refused), now), ports)
    except ExternalServiceError as failure:
        if not is_late(current, ports):
            raise
        return finish_service(turn, current.failed(timeout_reason(str(failure), ports), now), ports)


def announces_reconnection(before: Rollback, after: Rollback) -> bool:
    """Whether a step announced a deployment or a task, which must be saved before the call (rule 9)."""
    if after.reconnection is None:
        return False
    old = before.reconnection.services if before.reconnection is not None else ()
    intents = {connection.service: connection.intent for connection in old}
    return any(
        connection.intent is not None and connection.intent != intents.get(connection.service)
        for connection in after.reconnection.services
    )


def _start_reconnection(planned: DatabasePlan, ports: WaitPorts) -> Reconnection:
    known = [name for name in planned.reconnecting_services if name in ports.settings.service_names]
    services = tuple(
        ServiceConnection(service=name, method=_choose_method(name, planned.strategy, ports)) for name in known
    )
    return Reconnection(started_at=ports.clock.now(), services=services)


def _choose_method(name: str, strategy: Strategy, ports: HasSettings) -> ReconnectMethod:
    """Choose new tasks after a recreate: the branch has a new address, which tasks read only when they start."""
    if any(name == writer.name for writer in ports.settings.writers()):
        return ReconnectMethod.STARTED
    has_command = bool(ports.settings.service(name).connection.reconnect_command)
    return ReconnectMethod.COMMAND if has_command and strategy is not Strategy.RECREATE else ReconnectMethod.NEW_TASKS


def _next_fence_to_lift(rollback: Rollback, progress: Reconnection, ports: WaitPorts) -> Obligation | None:
    """The next writer to start. All writers start before any is waited for, since each minute at zero is an outage."""
    limit = timedelta(minutes=database_settings(ports).reconnect_timeout_minutes)
    if ports.clock.now() - progress.started_at > limit:
        return None  # each writer's turn reports that the writer was not started
    return next(
        (obligation for obligation in rollback.open_obligations() if _is_fence_of_another(obligation, rollback)), None
    )


def _is_fence_of_another(obligation: Obligation, rollback: Rollback) -> bool:
    return obligation.kind is ObligationKind.FENCE and obligation.service not in (None, rollback.service_name)


def _reconcile_service(turn: Turn, ports: ReconnectionPorts) -> Rollback:
    rollback, connection = turn.rollback, turn.connection
    if connection.method is not ReconnectMethod.STARTED and not hold_service_lease(rollback, connection, ports):
        held = ports.ledger.lease(connection.service)
        holder = held.holder if held is not None else "another rollback"
        return wait_for_service(turn, connection, f"{holder} holds the lease on {connection.service}", ports)
    if connection.reconnected_at is not None:
        return prove_connection(turn, connection.reconnected_at, ports)
    view = ports.services.describe(ports.settings.service(connection.service))
    if connection.method is ReconnectMethod.STARTED:
        return _wait_for_writer(turn, view, ports)
    if view.desired_count == 0:
        return finish_service(turn, connection.evolve(note="has zero tasks: nothing connects"), ports)
    if connection.method is ReconnectMethod.COMMAND:
        return _run_command(turn, view, ports)
    return _deploy(turn, view, ports)


def _wait_for_writer(turn: Turn, view: ServiceView, ports: ReconnectionPorts) -> Rollback:
    """Wait for a writer that the Service step or the lifted fence started, then restore its scaling (rule 2)."""
    now, rollback, connection = ports.clock.now(), turn.rollback, turn.connection
    if connection.service == rollback.service_name:
        return save_connection(turn, connection.evolve(reconnected_at=now, deployment_id=view.primary.id), 0)
    owed_to_writer = [
        obligation
        for obligation in rollback.obligations
        if obligation.service == connection.service and obligation.discharged_at is None
    ]
    if any(obligation.kind is ObligationKind.FENCE for obligation in owed_to_writer):
        command = f"rollback unfence {rollback.environment} --service {connection.service} --reason '…'"
        why = f"it could not be started, and has zero tasks: `{command}` starts it"
        return finish_service(turn, connection.failed(why, now), ports)
    if view.desired_count == 0:
        return finish_service(turn, connection.evolve(note="had zero tasks before: nothing connects"), ports)
    if view.why_not_stable:
        return wait_for_service(turn, connection, f"it was started: {', '.join(view.why_not_stable)}", ports)
    scaling = next(
        (
            obligation
            for obligation in owed_to_writer
            if obligation.kind is ObligationKind.SCALING and obligation.handed_to is None
        ),
        None,
    )
    if scaling is not None and not is_late(connection, ports):
        return discharge_obligation(rollback, scaling, now, ports)
    return save_connection(
        turn, connection.evolve(reconnected_at=now, waiting_reason="", deployment_id=view.primary.id), 0
    )


def _deploy(turn: Turn, view: ServiceView, ports: NewerReleasePorts) -> Rollback:
    """Deploy the running release again. Any deployment that began after the data changed serves as well."""
    connection, now, since, primary = turn.connection, ports.clock.now(), turn.data_changed_at, view.primary
    if _has_failed(connection, view, since):
        why = "its new deployment failed: old tasks may run on, with connections to data that is gone"
        return finish_service(turn, connection.failed(why, now), ports)
    if primary.created_at > since:
        return _wait_for_tasks(turn, view, ports)
    if connection.asked_at is not None:
        return wait_for_service(turn, connection, "ECS does not show its new deployment yet", ports)
    stack = read_stack_status(ports.settings.service(connection.service), ports)
    if stack.state is not StackState.STABLE and not stack.is_for_good:  # rule 6: no update while CloudFormation acts
        return wait_for_service(
            turn, connection.evolve(intent=None), "CloudFormation is changing the service, or may be", ports
        )
    if connection.intent is None or connection.replaced_deployment_id != primary.id:
        announced = connection.evolve(
            intent=DatabaseIntent(action=DEPLOY_ACTION, at=now), replaced_deployment_id=primary.id
        )
        _remember_caused(turn.rollback, announced, now, view, ports)
        return save_connection(turn, announced, 0)
    assert_leases(turn.rollback, connection, ports)
    ports.services.update(ports.settings.service(connection.service), force_new_deployment=True)
    return save_connection(turn, connection.evolve(asked_at=now), ports.settings.policy.poll_seconds)


def _wait_for_tasks(turn: Turn, view: ServiceView, ports: LeasePorts) -> Rollback:
    connection = turn.connection
    if connection.deployment_id != view.primary.id:
        found = connection.evolve(deployment_id=view.primary.id)
        if connection.intent is not None:
            _remember_caused(turn.rollback, found, connection.intent.at, view, ports)
        return save_connection(turn, found, 0)
    if view.why_not_stable:
        return wait_for_service(turn, connection, f"its new tasks start: {', '.join(view.why_not_stable)}", ports)
    return save_connection(turn, connection.evolve(reconnected_at=ports.clock.now(), waiting_reason="", intent=None), 0)


def _has_failed(connection: ServiceConnection, view: ServiceView, since: datetime) -> bool:
    """Whether the requested deployment failed, or a deployment that became PRIMARY since the data changed."""
    newest, primary = view.newest, view.primary
    went_back = newest is not None and newest.created_at > since and newest.status in ROLLING_BACK | ENDED_ELSEWHERE
    asked = connection.intent is not None or connection.asked_at is not None
    return (asked and went_back) or (primary.created_at > since and primary.rollout_state == "FAILED")


def _remember_caused(
    rollback: Rollback, connection: ServiceConnection, announced_at: datetime, view: ServiceView, ports: HasLedger
) -> None:
    """Record the deployment before the call, and again with its id: ECS may report a failure any time (rule 5)."""
    known = {"replaced_deployment_id": connection.replaced_deployment_id, "deployment_id": connection.deployment_id}
    record_caused_deployment(connection.service, view, announced_at, ports, rollback_id=rollback.id, **known)


def _run_command(turn: Turn, view: ServiceView, ports: CommandPorts) -> Rollback:
    connection = turn.connection
    now, words = ports.clock.now(), ports.settings.service(connection.service).connection.reconnect_command
    run = run_task(turn, connection.run, words, RECONNECT_ACTION, view, ports)
    if not isinstance(run, CommandRun):
        return run
    connection = connection.evolve(run=run, intent=None)
    if run.ended_at is None:
        return save_connection(turn, connection, ports.settings.policy.poll_seconds)
    why = why_failed(run)
    if why is not None:
        return finish_service(turn, connection.failed(why, now), ports)
    return save_connection(turn, connection.evolve(reconnected_at=now, waiting_reason=""), 0)


def _data_changed_at(planned: DatabasePlan, progress: DatabaseProgress) -> datetime:
    """When the data and its address last changed; earlier connections are old."""
    if planned.strategy is Strategy.RECREATE and progress.ended_at is not None:
        return progress.ended_at  # the new address was written to the secret before
    return progress.verified_at or progress.accepted_at or progress.started_at
