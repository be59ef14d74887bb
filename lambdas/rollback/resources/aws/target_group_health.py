"""Health of the targets of a target group, and whether it is evidence.

`Target.NotInUse` has two meanings: no load balancer uses the group, or its load balancer does not serve the target's
Availability Zone (ELB API reference, TargetHealth). Targets of a group without a load balancer are never checked: they
are neither healthy nor unhealthy, and say nothing about a release.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rollback.resources.aws.ecs_service import TargetHealth

_NOT_IN_USE = "Target.NotInUse"


class GroupState(StrEnum):
    """Use of a target group, which decides whether its targets are evidence."""

    CHECKED = "checked"  # a load balancer checks its targets
    UNUSED = "unused"  # no load balancer routes to it
    GONE = "gone"  # ELB has no such group


class GroupHealth(BaseModel):
    """Target group with its targets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arn: str
    state: GroupState
    targets: tuple[TargetHealth, ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        """Name in the ARN `arn:…:targetgroup/<name>/<id>`."""
        parts = self.arn.split("/")
        return parts[1] if len(parts) > 1 else self.arn

    @property
    def healthy(self) -> int:
        """Number of targets to which the load balancer sends requests."""
        return sum(target.state == "healthy" for target in self.targets)


def is_possibly_unused(targets: tuple[TargetHealth, ...]) -> bool:
    """Report whether no target is checked; DescribeTargetGroups then shows which of the two meanings applies."""
    return bool(targets) and all(t.state == "unused" and t.reason == _NOT_IN_USE for t in targets)


def conclusive_groups(groups: tuple[GroupHealth, ...]) -> tuple[GroupHealth, ...]:
    """List the groups whose targets are evidence."""
    return tuple(group for group in groups if group.state is GroupState.CHECKED)


def describe_inconclusive_groups(groups: tuple[GroupHealth, ...]) -> str:
    """Describe the other groups; the text is empty without such a group."""
    states = {GroupState.UNUSED: "no load balancer routes to it", GroupState.GONE: "gone"}
    return "; ".join(
        f"target group {group.name}: {group.why or states[group.state]}" for group in groups if group.state in states
    )
