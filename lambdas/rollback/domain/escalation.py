"""Escalation of a rollback that does not help (rule 4: alarm state alone never escalates).

    service → emergency → emergency with the next target → restart from zero → an operator

If the target release runs on healthy load balancer targets while an alarm is in ALARM, the release is not the cause.
No other deployment of the release would help.
"""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import StoredLine, StoredText


class EscalationLevel(StrEnum):
    """Level of force with which the service is brought to its target."""

    SERVICE = "service"  # waits for ECS and CloudFormation, and keeps healthy capacity
    EMERGENCY = "emergency"  # overrides ECS and CloudFormation at once, and still keeps healthy capacity
    RESTART_FROM_ZERO = "restart_from_zero"  # stops all tasks, then starts the target

    @property
    def in_words(self) -> str:
        """The level's name in messages."""
        return self.value.replace("_", " ")


class TargetSwitch(StrEnum):
    """Another target on the same escalation level."""

    NEXT_TARGET = "next_target"  # the target does not start or does not serve; another promoted release may


class EscalationEnd(StrEnum):
    """The reason why escalation ends."""

    NOT_THE_RELEASE = "not_the_release"
    NO_LEVEL_ALLOWED = "no_level_allowed"  # this was the last level, or the restart from zero is not allowed


class ServiceHealth(BaseModel):
    """Health of the service when an escalation level did not help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_target_running: bool = Field(description="PRIMARY is the target, with at least the desired count running")
    healthy_targets: int | None = Field(
        description="in the target group that has the fewest healthy targets; None: the load balancer did not answer"
    )
    has_healthy_target: bool | None = Field(description="in any target group; None: the load balancer did not answer")
    desired_count: int = Field(ge=0)
    other_tasks: int = Field(
        default=0, ge=0, description="tasks of other deployments: the healthy ones may be among them"
    )

    @property
    def is_healthy(self) -> bool:
        """Whether the target runs and serves: enough targets are healthy even if all other tasks are among them."""
        if self.healthy_targets is None or self.desired_count == 0:
            return False
        return self.is_target_running and self.healthy_targets - self.other_tasks >= self.desired_count


class EscalationAttempt(BaseModel):
    """An escalation level that did not help, for the report and the demo's timeline."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    escalation_level: EscalationLevel
    since: AwareDatetime
    until: AwareDatetime
    escalation_reason: StoredText
    target: str = Field(
        default="", description="version of the target; empty: an older version of the code wrote the record"
    )
    target_fingerprint: str = ""
    moves_before_escalation: int = Field(
        default=0, ge=0, description="number of the rollback's moves before the level was left"
    )
    last_events: tuple[StoredLine, ...] = ()


def describe_escalation(reason: str, level: EscalationLevel) -> str:
    """Describe the step to the next level, in the document's reason and in the demo's timeline."""
    return f"{reason}; escalating to {level.in_words}"


def next_escalation(
    current: EscalationLevel,
    service_health: ServiceHealth,
    restart_from_zero: Literal["allow", "refuse"],
    *,
    has_another_target: bool = False,
) -> EscalationLevel | TargetSwitch | EscalationEnd:
    """Choose the next level, another target, or the reason to end.

    Another target keeps healthy capacity, as any emergency does, so it comes before the restart from zero. A target
    that runs and has some healthy tasks is not replaced by an older release.

    Args:
        current: the level that did not help.
        service_health: the service's health now.
        restart_from_zero: the environment's policy.
        has_another_target: whether the standing plan has another target that may be taken.
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
    return EscalationEnd.NO_LEVEL_ALLOWED
