"""Health of the targets of one target group, and what it says.

`Target.NotInUse` has two meanings: no load balancer uses the group, or its load balancer does not serve the target's
Availability Zone (ELB API reference, TargetHealth). Targets of a group without a load balancer are never checked: they
are neither healthy nor unhealthy, and say nothing of a release.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rollback.resources.aws.ecs_service import TargetHealth

_NOT_IN_USE = "Target.NotInUse"


class GroupState(StrEnum):
    """Whether a group's targets say anything."""

    CHECKED = "checked"  # its load balancer looks at them
    UNUSED = "unused"  # no load balancer routes to it
    GONE = "gone"  # ELB knows no such group


class GroupHealth(BaseModel):
    """One group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arn: str
    state: GroupState
    targets: tuple[TargetHealth, ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        """As a person calls it: `arn:…:targetgroup/<name>/<id>`."""
        parts = self.arn.split("/")
        return parts[1] if len(parts) > 1 else self.arn

    @property
    def healthy(self) -> int:
        """Targets that the load balancer sends to."""
        return sum(target.state == "healthy" for target in self.targets)


def is_possibly_unused(targets: tuple[TargetHealth, ...]) -> bool:
    """Whether no target is checked; then ELB has to be asked which of the two meanings it has."""
    return bool(targets) and all(t.state == "unused" and t.reason == _NOT_IN_USE for t in targets)


def conclusive_groups(groups: tuple[GroupHealth, ...]) -> tuple[GroupHealth, ...]:
    """Groups whose targets are evidence."""
    return tuple(group for group in groups if group.state is GroupState.CHECKED)


def describe_inconclusive_groups(groups: tuple[GroupHealth, ...]) -> str:
    """The other groups, in words; empty: there is none."""
    said = {GroupState.UNUSED: "no load balancer routes to it", GroupState.GONE: "gone"}
    return "; ".join(
        f"target group {group.name}: {group.why or said[group.state]}" for group in groups if group.state in said
    )
