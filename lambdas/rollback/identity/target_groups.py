"""Health of the target groups of a service."""

from rollback.errors import CallRefused, RefusalKind
from rollback.ports.holders import HasTargetGroups
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import GroupHealth, GroupState, is_possibly_unused


def group_health(arn: str, ports: HasTargetGroups) -> GroupHealth:
    """Read the health of one target group; a deleted group is a result, not an error.

    Raises:
        ExternalServiceError: the load balancer did not answer.
    """
    try:
        targets = ports.target_groups.health(arn)
        is_used = not is_possibly_unused(targets) or ports.target_groups.has_load_balancer(arn)
    except CallRefused as refused:
        if refused.kind is not RefusalKind.NOT_FOUND:
            raise
        return GroupHealth(arn=arn, state=GroupState.GONE, why=str(refused))
    return GroupHealth(arn=arn, state=GroupState.CHECKED if is_used else GroupState.UNUSED, targets=targets)


def read_group_health(view: ServiceView, ports: HasTargetGroups) -> tuple[GroupHealth, ...]:
    """Read the health of all target groups of a service.

    Raises:
        ExternalServiceError: the load balancer did not answer about one of them.
    """
    return tuple(group_health(arn, ports) for arn in view.target_groups)
