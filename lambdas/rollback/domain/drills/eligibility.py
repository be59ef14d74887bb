"""Decide from the settings alone whether a drill may be started in an environment."""

from rollback.domain.request import Request, RollbackType
from rollback.domain.settings.environment import Settings


def why_not_allowed(request: Request, settings: Settings) -> str | None:
    """Return the reason why the settings forbid a drill; None: the drill may start."""
    environment = settings.environment
    forbidden = settings.drills.why_forbidden_in(environment)
    if forbidden is not None:
        return forbidden
    if settings.policy.mode == "observe":
        return f"policy.mode of {environment} is observe: a drill changes ECS, and this environment only observes"
    if request.type is not RollbackType.DATABASE:
        return None
    if not settings.writes_to_observed_branch(request.service):
        return (
            f"{request.service} writes to no fixed database branch of {environment}: a drill of the database needs "
            "database.branch_id and a service among its writers"
        )
    return None


def is_drilled(service_name: str, settings: Settings) -> bool:
    """Whether the schedule starts drills of a service: of the database, only the first writer rehearses the restore."""
    if settings.drills.scenario != RollbackType.DATABASE.value:
        return True
    writers = settings.writers()
    return bool(writers) and writers[0].name == service_name
