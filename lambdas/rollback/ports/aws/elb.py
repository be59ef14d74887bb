"""Port to Elastic Load Balancing."""

from typing import Any, Protocol

from rollback.effects import reads
from rollback.resources.aws.ecs_service import TargetHealth


class Targets(Protocol):
    """Target groups of load balancers and the health of their targets."""

    @reads
    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """List all targets of a group, draining ones too, as `address:port`."""
        ...

    @reads
    def has_load_balancer(self, target_group_arn: str) -> bool:
        """Report whether a load balancer routes to the group."""
        ...

    @reads
    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Return target group → path, port, protocol and matcher of its health check; deleted groups are left out."""
        ...

    @reads
    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        """List the other target groups to which the load balancers of these groups forward."""
        ...
