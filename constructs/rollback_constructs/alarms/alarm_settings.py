"""Limits beyond which a service is degraded, or has an outage."""

from pydantic import BaseModel, ConfigDict, Field

_MAX_TASK_EXITS_OF_WORKER = 3


class AlarmSettings(BaseModel):
    """Limits beyond which a service is degraded, or has an outage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_seconds: int = Field(
        default=60, ge=60, multiple_of=60, description="period of each alarm's metrics; ELB has a data point a minute"
    )
    evaluation_periods: int = Field(default=3, ge=1, description="periods that an alarm looks at")
    datapoints_to_alarm: int = Field(default=2, ge=1, description="bad periods among them that raise the alarm")
    outage_evaluation_periods: int = Field(
        default=2, ge=1, description="bad periods in a row that raise the outage alarm"
    )
    shortfall_evaluation_periods: int = Field(default=5, ge=1, description="long enough for tasks to start")
    min_requests_per_period: int = Field(
        default=20, ge=1, description="with fewer requests, error rate and latency are not evaluated"
    )
    max_error_rate_percent: float = Field(
        default=5, gt=0, lt=100, description="share of requests that may be answered by a 5xx"
    )
    outage_error_rate_percent: float = Field(default=90, gt=0, le=100, description="an outage from this rate on")
    max_p95_latency_seconds: float = Field(default=2, gt=0, description="highest 95th percentile of the response time")
    max_unhealthy_targets: int = Field(
        default=0, ge=0, description="targets that may fail the load balancer's health checks"
    )
    max_missing_tasks: int = Field(
        default=0, ge=0, description="running tasks that may be missing from the desired count"
    )
    max_task_exits_per_period: int | None = Field(
        default=None,
        ge=0,
        description="tasks that may fail in `shortfall_evaluation_periods` periods, by an exit code other than 0 or "
        "without a start. Default: 3 for a service without a load balancer, else no alarm",
    )
    max_target_resets_per_period: int | None = Field(
        default=None,
        ge=0,
        description="TCP resets that the targets of a Network Load Balancer of the service's own may send in a period; "
        "default: no alarm, since clients that leave early make resets too",
    )
    max_error_logs_per_minute: float = Field(
        default=20, ge=0, description="error lines that the log may have in a minute"
    )
    error_log_pattern: str = Field(default="?ERROR ?FATAL", min_length=1, description="CloudWatch Logs filter pattern")

    def max_task_exits(self, *, is_worker: bool) -> int | None:
        """Return the tasks that may fail; None: no alarm counts them.

        Args:
            is_worker: the service has no load balancer, whose metrics would show the failures.
        """
        if self.max_task_exits_per_period is not None:
            return self.max_task_exits_per_period
        return _MAX_TASK_EXITS_OF_WORKER if is_worker else None
