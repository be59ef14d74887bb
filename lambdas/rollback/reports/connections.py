"""What people are told about the services' connections after data changed: which service got which."""

from rollback.domain.database.reconnection import ReconnectMethod, ServiceConnection
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings


def format_connections(rollback: Rollback) -> list[str]:
    """Lines of the report; none where no data changed, or the plan named no service."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or not planned.reconnecting_services or not rollback.has_changed_data:
        return []
    known = rollback.reconnection
    lines = []
    for name in planned.reconnecting_services:
        one = known.of(name) if known is not None else None
        lines.append(f"  {name}: {_state(one) if one is not None else _not_begun(name, rollback)}")
    return ["Connections to the changed data:", *lines]


def _state(one: ServiceConnection) -> str:
    if one.failure is not None:
        return f"NOT RECONNECTED: {one.failure}"
    if one.reconnected_at is None:
        if one.finished_at is not None:
            return one.note
        return f"NOT RECONNECTED: {one.waiting_reason or 'it did not come to its turn'}"
    return f"{_how(one)}, at {one.reconnected_at:%H:%M:%S} UTC{_proof(one)}"


def _how(one: ServiceConnection) -> str:
    match one.way:
        case ReconnectMethod.STARTED:
            return "started from zero tasks"
        case ReconnectMethod.NEW_TASKS:
            whose = "" if one.asked_at is not None or one.intent is not None else ", which others began"
            return f"new tasks by deployment {one.deployment_id}{whose}"
        case ReconnectMethod.COMMAND:
            return "its reconnect_command ended with exit code 0; its tasks are the ones from before"


def _proof(one: ServiceConnection) -> str:
    if one.proof is not None:
        return f"; {one.proof.name} ended with exit code {one.proof.exit_code}"
    if one.session_seen_at is not None:
        return f"; its session was seen on the branch at {one.session_seen_at:%H:%M:%S} UTC"
    return f"; {one.note}" if one.note else ""


def _not_begun(name: str, rollback: Rollback) -> str:
    """A rollback that ended before: what ran on has connections to data that is gone."""
    if name == rollback.service_name:
        return "as said above"
    settings = rollback.settings
    if settings is None or name not in settings.service_names:
        return "NOT RECONNECTED"
    if any(name == writer.name for writer in settings.writers()):
        return "stood behind the fence: it connects anew when it is started"
    return f"NOT RECONNECTED: {_command(name, settings)}"


def _command(name: str, settings: Settings) -> str:
    service = settings.service(name)
    return (
        f"`aws ecs update-service --cluster {service.cluster} --service {service.ecs_service} --force-new-deployment` "
        "gives it new tasks"
    )
