"""The report's section about connections to changed data: which service has new ones, and the command for the others.

A service that keeps its old connections works on data that is gone.
"""

from rollback.domain.database.reconnection import ReconnectMethod, ServiceConnection
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings


def format_connections(rollback: Rollback) -> list[str]:
    """Lines of the report; none if no data changed, or the plan reconnects no service."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or not planned.reconnecting_services or not rollback.has_changed_data:
        return []
    lines = ["Connections to the changed data:"]
    for name in planned.reconnecting_services:
        connection = rollback.reconnection.of(name) if rollback.reconnection is not None else None
        state = _begun(connection) if connection is not None else _not_begun(name, rollback)
        lines.append(f"  {name}: {state}")
    return lines


def _begun(connection: ServiceConnection) -> str:
    if connection.failure is not None:
        return f"NOT RECONNECTED: {connection.failure}"
    if connection.reconnected_at is not None:
        return f"{_method(connection)}, at {connection.reconnected_at:%H:%M:%S} UTC{_proof(connection)}"
    if connection.finished_at is not None:
        return connection.note
    return f"NOT RECONNECTED: {connection.waiting_reason or 'the rollback ended before the reconnection began'}"


def _method(connection: ServiceConnection) -> str:
    match connection.method:
        case ReconnectMethod.STARTED:
            return "started from zero tasks"
        case ReconnectMethod.NEW_TASKS:
            is_own = connection.asked_at is not None or connection.intent is not None
            return f"new tasks by deployment {connection.deployment_id}{'' if is_own else ', which others began'}"
        case ReconnectMethod.COMMAND:
            return "its reconnect_command ended with exit code 0; its tasks were not replaced"


def _proof(connection: ServiceConnection) -> str:
    if connection.proof is not None:
        return f"; {connection.proof.name} ended with exit code {connection.proof.exit_code}"
    if connection.session_seen_at is not None:
        return f"; its session was seen on the branch at {connection.session_seen_at:%H:%M:%S} UTC"
    return f"; {connection.note}" if connection.note else ""


def _not_begun(name: str, rollback: Rollback) -> str:
    """Describe a service whose reconnection had not begun when the rollback ended."""
    if name == rollback.service_name:
        return "see Database above"
    settings = rollback.settings
    if settings is None or name not in settings.service_names:
        return "NOT RECONNECTED"
    if any(name == writer.name for writer in settings.writers()):
        return "stopped by the fence: the start gives it new connections"
    return f"NOT RECONNECTED: {_command(name, settings)}"


def _command(name: str, settings: Settings) -> str:
    service = settings.service(name)
    return (
        f"`aws ecs update-service --cluster {service.cluster} --service {service.ecs_service} --force-new-deployment` "
        "gives it new tasks"
    )
