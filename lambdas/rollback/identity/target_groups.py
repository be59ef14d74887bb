"""The target groups of a service, each with what its targets say."""

from rollback.errors import CallRefused, RefusalKind
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import GroupHealth, GroupState, is_possibly_unused


def group_health(arn: str, world: World) -> GroupHealth:
    """Health of one group. A group that is gone is an answer.

    Raises:
        ExternalServiceError: the load balancer could not be asked.
    """
    try:
        targets = world.targets.health(arn)
        used = not is_possibly_unused(targets) or world.targets.has_load_balancer(arn)
    except CallRefused as refused:
        if refused.kind is not RefusalKind.NOT_FOUND:
            raise
        return GroupHealth(arn=arn, state=GroupState.GONE, why=str(refused))
    return GroupHealth(arn=arn, state=GroupState.CHECKED if used else GroupState.UNUSED, targets=targets)


def read_group_health(view: ServiceView, world: World) -> tuple[GroupHealth, ...]:
    """All groups of a service.

    Raises:
        ExternalServiceError: the load balancer could not be asked of one of them.
    """
    return tuple(group_health(arn, world) for arn in view.target_groups)
