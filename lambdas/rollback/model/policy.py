"""The numbers and switches of one environment that steps decide by; defaults here, overridden in `cdk.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """Every field carries its unit in its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["act", "observe"] = "act"
    on_insufficient_data_alarm: Literal["ignore", "act"] = "ignore"
    stale_trigger_minutes: float = Field(default=5, gt=0)  # rule 10
    lease_minutes: float = Field(default=10, gt=0)
    act_timeout_seconds: float = Field(
        default=60, gt=0, description="time limit of the function that changes ECS"
    )  # rule 9
    correlation_window_minutes: float = Field(default=120, gt=0)  # rule 7
    recheck_minutes: float = Field(default=5, gt=0)
    poll_seconds: int = Field(default=10, ge=1)
    service_timeout_minutes: float = Field(default=15, gt=0)
    verify_rounds: int = Field(default=3, ge=1)
    verify_interval_seconds: int = Field(default=10, ge=1)
    verify_timeout_minutes: float = Field(default=10, gt=0)
    alarm_settle_minutes: float = Field(default=5, ge=0)
    conclude_timeout_minutes: float = Field(
        default=10, gt=0, description="how long obligations and reports are retried"
    )
    bake_minutes: float = Field(default=15, gt=0)
    bake_minimum_requests: int = Field(default=100, ge=0, description="requests during the bake, else it bakes on")
    bake_timeout_minutes: float = Field(
        default=24 * 60, gt=0, description="no promotion if still without evidence by then"
    )
    alarm_without_rollback_minutes: float = Field(
        default=5, gt=0, description="the janitor looks at an alarm again after"
    )
