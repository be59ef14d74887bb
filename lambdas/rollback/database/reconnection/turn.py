"""One service's turn in Reconnect: save the turn, let it wait, end it, hold its lease, run its task."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.database.changes.ports import WaitPorts
from rollback.database.reconnection.ports import CommandPorts
from rollback.domain.database.progress import CommandRun, DatabaseIntent
from rollback.domain.database.reconnection import Reconnection, ReconnectMethod, ServiceConnection
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.leases.hold import assert_lease
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasSettings
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.one_off_task import begin_task, follow_task


@dataclass(frozen=True)
class Turn:
    """One service's turn, as the document has it at the start of the round.

    Attributes:
        data_changed_at: when the data and its address last changed; earlier connections are old.
    """

    rollback: Rollback
    reconnection: Reconnection
    connection: ServiceConnection
    data_changed_at: datetime


def save_connection(turn: Turn, connection: ServiceConnection, wait_seconds: int) -> Rollback:
    """The rollback with the connection of one service replaced."""
    return turn.rollback.evolve(reconnection=turn.reconnection.with_service(connection), wait_seconds=wait_seconds)


def wait_for_service(turn: Turn, connection: ServiceConnection, reason: str, ports: LeasePorts) -> Rollback:
    """Wait for the next round. A turn that takes too long ends as a failure."""
    if is_late(connection, ports):
        return finish_service(turn, connection.failed(timeout_reason(reason, ports), ports.clock.now()), ports)
    return save_connection(turn, connection.evolve(waiting_reason=reason), ports.settings.policy.poll_seconds)


def finish_service(turn: Turn, connection: ServiceConnection, ports: LeasePorts) -> Rollback:
    """End the turn, and give the service's lease back, unless the service still has zero tasks."""
    rollback = turn.rollback
    is_owed = any(obligation.service == connection.service for obligation in rollback.open_obligations())
    if connection.service != rollback.service_name and not is_owed:
        ports.ledger.release_lease(connection.service, rollback.id)
    finished_connection = connection.evolve(waiting_reason="", finished_at=connection.finished_at or ports.clock.now())
    return save_connection(turn, finished_connection, 0)


def is_late(connection: ServiceConnection, ports: WaitPorts) -> bool:
    """Whether the turn exceeds `reconnect_timeout_minutes`."""
    limit = timedelta(minutes=database_settings(ports).reconnect_timeout_minutes)
    return connection.began_at is not None and ports.clock.now() - connection.began_at > limit


def timeout_reason(reason: str, ports: HasSettings) -> str:
    """The reason of a turn that took too long, for the report."""
    limit = database_settings(ports).reconnect_timeout_minutes
    return f"the reconnection did not end in {limit:g} minutes: {reason}"


def hold_service_lease(rollback: Rollback, connection: ServiceConnection, ports: LeasePorts) -> bool:
    """Hold the service's lease, so that alarms caused by its new tasks start no rollback. False: another holds it."""
    if connection.service == rollback.service_name:
        return True  # `run_step` holds and renews that lease
    now = ports.clock.now()
    expires_at = now + timedelta(minutes=ports.settings.policy.lease_minutes)
    lease = ports.ledger.acquire(connection.service, rollback.id, now, expires_at)
    if lease is None:
        return False
    ports.ledger.renew(lease, now, expires_at)
    return True


def assert_leases(rollback: Rollback, connection: ServiceConnection, ports: LeasePorts) -> None:
    """Read the rollback's own lease and the reader's lease immediately before a change (rule 9).

    Raises:
        LeaseLost: another rollback holds the rollback's own lease.
        ExternalServiceError: another rollback holds the reader's lease; the next round acquires it again.
    """
    seconds = ports.settings.policy.database_timeout_seconds
    assert_lease(rollback, ports, seconds)
    if connection.method is ReconnectMethod.STARTED or connection.service == rollback.service_name:
        return
    lease = ports.ledger.lease(connection.service)
    if lease is None or not lease.is_held_by(rollback.id, ports.clock.now() + timedelta(seconds=seconds)):
        raise ExternalServiceError(f"the lease on {connection.service} was just lost; the next round acquires it again")


def run_task(
    turn: Turn,
    run: CommandRun | None,
    words: tuple[str, ...],
    purpose: str,
    view: ServiceView,
    ports: CommandPorts,
) -> CommandRun | Rollback:
    """Announce, start or follow a command in a one-off task of the service.

    Returns:
        The run, once the task was started; until then the rollback to save.
    """
    rollback, connection = turn.rollback, turn.connection
    service, now = ports.settings.service(connection.service), ports.clock.now()
    if run is not None:
        return follow_task(service, run, database_settings(ports).task_timeout_minutes, ports)
    if connection.intent is None or connection.intent.action != purpose:
        return save_connection(turn, connection.evolve(intent=DatabaseIntent(action=purpose, at=now)), 0)
    if is_late(connection, ports):
        reason = f"the {purpose.replace('_', ' ')} did not begin"
        return finish_service(turn, connection.failed(timeout_reason(reason, ports), now), ports)
    assert_leases(rollback, connection, ports)
    started_run = begin_task(service, view.primary.definition_arn, words, rollback.id, purpose, ports)
    return (
        started_run
        if started_run is not None
        else save_connection(turn, connection, ports.settings.policy.poll_seconds)
    )


def database_settings(ports: HasSettings) -> DatabaseSettings:
    """The settings of the environment's database.

    Raises:
        InvalidRequest: the environment has no database any more.
    """
    if ports.settings.database is None:
        raise InvalidRequest(f"the settings of {ports.settings.environment} no longer have a database")
    return ports.settings.database
