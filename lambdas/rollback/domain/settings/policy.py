"""Limits and options by which an environment's steps decide: defaults, which `cdk.json` overrides."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Policy(BaseModel):
    """Limits and options; the name of each number has its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _names_no_former_setting(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "database_approval" in values:
            raise ValueError(
                "database_approval is no setting any more: write `approval` beside `policy`; "
                '"approval": {"required_for": []} is the former value none, and leaving `approval` out is required'
            )
        return values

    mode: Literal["act", "observe"] = Field(
        default="act", description="`observe` plans and reports, and changes nothing"
    )
    on_insufficient_data_alarm: Literal["ignore", "act"] = Field(
        default="ignore", description="whether an alarm that goes to INSUFFICIENT_DATA starts a rollback"
    )
    stale_trigger_minutes: float = Field(
        default=5, gt=0, description="an automatic trigger that is older starts nothing (rule 10)"
    )  # rule 10: an older trigger is stale
    lease_minutes: float = Field(
        default=10, gt=0, description="how long a lease lasts without a renewal; then another rollback may take it"
    )
    act_timeout_seconds: float = Field(
        default=60, gt=0, description="time limit of the function that changes ECS"
    )  # rule 9: the function's timeout is below the lease's remainder
    correlation_window_minutes: float = Field(
        default=120,
        gt=0,
        description="a promoted release that was first deployed before this window is not the cause of an alarm",
    )  # rule 7: an older promoted release is not the cause
    cooldown_minutes: float = Field(
        default=10, ge=0, description="no automatic rollback within this time after another"
    )
    attempts_per_window: int = Field(
        default=2, ge=1, description="automatic rollbacks; after them an operator is paged"
    )
    attempt_window_minutes: float = Field(default=120, gt=0, description="window of attempts_per_window")
    min_requests_to_judge: int = Field(
        default=20, ge=0, description="fewer requests in `traffic_window_minutes` say nothing about rates and latency"
    )
    traffic_window_minutes: float = Field(
        default=5, gt=0, description="window in which min_requests_to_judge counts requests"
    )
    recheck_minutes: float = Field(
        default=5, gt=0, description="time after which a suppressed trigger is evaluated again"
    )
    poll_seconds: int = Field(default=10, ge=1, description="time between two looks at ECS or Neon while a step waits")
    service_timeout_minutes: float = Field(
        default=15, gt=0, description="limit of a service rollback until the target runs alone; then it escalates"
    )
    stuck_minutes: float = Field(
        default=5,
        gt=0,
        description="a deployment of the target that did not settle by then is deployed again by force, once",
    )
    emergency_timeout_minutes: float = Field(default=10, gt=0, description="how long the emergency mode may take")
    restart_from_zero: Literal["allow", "refuse"] = Field(
        default="allow", description="highest escalation level but the operator; rule 4: only with zero healthy targets"
    )
    restart_timeout_minutes: float = Field(default=10, gt=0, description="limit of a restart from zero")
    restart_desired_count: int = Field(default=2, ge=1, description="lowest desired count after a restart from zero")
    verify_rounds: int = Field(default=3, ge=1, description="good rounds in a row that pass the verification")
    verify_interval_seconds: int = Field(default=10, ge=1, description="time between two rounds")
    verify_timeout_minutes: float = Field(
        default=10, gt=0, description="limit of the verification; without enough good rounds by then it escalates"
    )
    alarm_settle_minutes: float = Field(
        default=5, ge=0, description="time after the change in which the verification waits for alarms to return to OK"
    )
    error_log_wait_minutes: float = Field(
        default=3,
        ge=0,
        description="how long Verify waits for the minutes of logs that the check of error logs needs",
    )
    conclude_timeout_minutes: float = Field(
        default=20, gt=0, description="how long obligations and reports are retried; the janitor runs every 5 minutes"
    )
    bake_minutes: float = Field(
        default=15, gt=0, description="time that a release must stay healthy before it is promoted"
    )
    bake_minimum_requests: int = Field(
        default=100, ge=0, description="requests during the bake; with fewer the bake continues"
    )
    bake_timeout_minutes: float = Field(
        default=24 * 60, gt=0, description="no promotion if there is no evidence by then"
    )
    alarm_without_rollback_minutes: float = Field(
        default=5, gt=0, description="age of an alarm without a rollback at which the janitor evaluates it again"
    )
    on_incompatible_schema: Literal["refuse", "full"] = Field(
        default="refuse", description="answer to a service rollback whose target can't work with the schema (rule 12)"
    )
    database_timeout_seconds: float = Field(
        default=240, gt=0, description="time limit of the function that changes the database"
    )  # rule 9: the function's timeout is below the lease's remainder
    record_days: float = Field(
        default=400, ge=30, description="how long the record of a rollback is kept after its last obligation and report"
    )
    suspect_release_days: float | None = Field(
        default=None, ge=30, description="how long a suspect or quarantined release is kept; null keeps it for good"
    )
    page_aggregation_minutes: float = Field(
        default=60, ge=0, description="pages of one alarm with the same answer become one page with a count"
    )
    readiness_minutes: float = Field(default=60, gt=0, description="interval at which the standing plans are judged")
