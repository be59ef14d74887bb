"""The ladder of a rollback that does not help: what is tried next, and when to stop trying (rule 4).

    service → emergency → emergency with the next target → restart from zero → a person

Alarms take no part in it: a red alarm over a target that runs on healthy targets means that the release is not the
cause, and nothing that we could do to the release would help.
"""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import StoredLine, StoredText


class EscalationLevel(StrEnum):
    """How hard the service is being brought to its target."""

    SERVICE = "service"  # beside ECS and CloudFormation, healthy capacity first
    EMERGENCY = "emergency"  # at once, over whatever they are doing; healthy capacity is still kept
    RESTART_FROM_ZERO = "restart_from_zero"  # all tasks stopped, then the target


class TargetSwitch(StrEnum):
    """The same rung, on the way to something else."""

    NEXT_TARGET = "next_target"  # the last known good can't be run, or does not serve; another promoted release may


class EscalationEnd(StrEnum):
    """Why nothing more is tried."""

    NOT_THE_RELEASE = "not_the_release"
    LEVELS_EXHAUSTED = "levels_exhausted"


class ServiceHealth(BaseModel):
    """What the service stands on when a rung did not help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_target_running: bool = Field(description="PRIMARY is the target, on as many tasks as are wanted")
    healthy_targets: int | None = Field(
        description="in the target group that has the fewest; None: the load balancer could not be asked"
    )
    has_healthy_target: bool | None = Field(description="any healthy target, in any target group; None: as above")
    wanted: int = Field(ge=0, description="tasks that should run")
    other_tasks: int = Field(default=0, ge=0, description="tasks of other deployments, which may be the healthy ones")

    @property
    def is_healthy(self) -> bool:
        """The target runs, and it serves: enough targets are healthy even if all other tasks are among them."""
        if self.healthy_targets is None or self.wanted == 0:
            return False
        return self.is_target_running and self.healthy_targets - self.other_tasks >= self.wanted


class EscalationAttempt(BaseModel):
    """A rung that was left, for the report and the demo's timeline."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    escalation_level: EscalationLevel
    since: AwareDatetime
    until: AwareDatetime
    escalation_reason: StoredText
    target: str = Field(default="", description="version that was to run; empty: an older version of the code wrote it")
    target_fingerprint: str = ""
    moves_before_escalation: int = Field(
        default=0, ge=0, description="of the rollback's moves, those made before it was left"
    )
    last_events: tuple[StoredLine, ...] = ()


def next_escalation(
    current: EscalationLevel,
    service_health: ServiceHealth,
    restart_from_zero: Literal["allow", "refuse"],
    *,
    has_another_target: bool = False,
) -> EscalationLevel | TargetSwitch | EscalationEnd:
    """The next rung, the next target, or why there is none.

    Another target keeps healthy capacity, as any emergency does; so it comes before all tasks are stopped. A target
    that runs, and of which some serve, is not left for an older one.
    """
    if service_health.is_healthy:
        return EscalationEnd.NOT_THE_RELEASE
    if current is EscalationLevel.SERVICE:
        return EscalationLevel.EMERGENCY
    if (
        current is EscalationLevel.EMERGENCY
        and has_another_target
        and (service_health.has_healthy_target is False or not service_health.is_target_running)
    ):
        return TargetSwitch.NEXT_TARGET
    if (
        current is EscalationLevel.EMERGENCY
        and service_health.has_healthy_target is False
        and restart_from_zero == "allow"
    ):
        return EscalationLevel.RESTART_FROM_ZERO
    return EscalationEnd.LEVELS_EXHAUSTED
