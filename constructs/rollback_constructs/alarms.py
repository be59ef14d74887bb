"""Alarms of one service: leaf alarms are evidence, the two composites start rollbacks.

Guards count `RequestCount + HTTPCode_ELB_5XX_Count`, because `RequestCount` leaves out requests for which no target
was chosen: a total outage has none (ELB user guide). No alarm treats missing data as missing (rule 11).
"""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.model.names import degraded_alarm, outage_alarm
from rollback_constructs.attachment import Attachment

_BALANCER = "AWS/ApplicationELB"
_INSIGHTS = "ECS/ContainerInsights"


class AlarmSettings(BaseModel):
    """When a service counts as degraded or out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_seconds: int = Field(default=60, ge=10, multiple_of=10)
    evaluation_periods: int = Field(default=3, ge=1)
    datapoints_to_alarm: int = Field(default=2, ge=1)
    outage_evaluation_periods: int = Field(default=2, ge=1)
    shortfall_evaluation_periods: int = Field(default=5, ge=1, description="starting tasks take a while")
    min_requests_per_period: int = Field(default=20, ge=1, description="below, rates and latency say nothing")
    max_error_rate_percent: float = Field(default=5, gt=0, lt=100)
    outage_error_rate_percent: float = Field(default=90, gt=0, le=100, description="from here it is an outage")
    max_p95_latency_seconds: float = Field(default=2, gt=0)
    max_unhealthy_targets: int = Field(default=0, ge=0)
    max_missing_tasks: int = Field(default=0, ge=0)
    max_error_logs_per_minute: float = Field(default=20, ge=0)
    error_log_pattern: str = Field(default="?ERROR ?FATAL", min_length=1, description="CloudWatch Logs filter pattern")


class ServiceAlarms(Construct):
    """`degraded` and `outage` (composites) and `evidence`, their leaves."""

    def __init__(
        self, scope: Construct, id_: str, *, prefix: str, service: Attachment, settings: AlarmSettings
    ) -> None:
        super().__init__(scope, id_)
        self._service, self._settings, self._prefix = service, settings, f"{prefix}-{service.name}"
        s = settings
        errors = self._leaf("ErrorRate", self._error_rate(), "error-rate", s.max_error_rate_percent)
        latency = self._leaf("Latency", self._latency(), "latency", s.max_p95_latency_seconds)
        error_logs = self._leaf(
            "ErrorLogs", self._error_logs(), "error-logs", s.max_error_logs_per_minute * s.period_seconds / 60
        )
        unhealthy = self._leaf(
            "UnhealthyTargets", self._hosts("UnHealthyHostCount"), "unhealthy-targets", s.max_unhealthy_targets
        )
        shortfall = self._leaf(
            "TaskShortfall", self._shortfall(), "task-shortfall", s.max_missing_tasks, s.shortfall_evaluation_periods
        )
        near_total = self._leaf(
            "NearTotalErrors",
            self._error_rate(),
            "near-total-errors",
            s.outage_error_rate_percent,
            s.outage_evaluation_periods,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        )
        no_healthy = self._leaf(
            "NoHealthyTargets",
            self._hosts("HealthyHostCount"),
            "no-healthy-targets",
            1,
            s.outage_evaluation_periods,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,  # no target group reports: nothing serves
        )
        self.evidence = (errors, latency, error_logs, unhealthy, shortfall, near_total, no_healthy)
        self.degraded = self._composite(
            "Degraded", degraded_alarm(prefix, service.name), [errors, latency, error_logs, unhealthy, shortfall]
        )
        self.outage = self._composite("Outage", outage_alarm(prefix, service.name), [no_healthy, near_total])

    def _leaf(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        name: str,
        threshold: float,
        periods: int | None = None,
        *,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """An alarm on M of N periods; given its own number of periods, on all of them."""
        return cloudwatch.Alarm(
            self,
            id_,
            alarm_name=f"{self._prefix}-{name}",
            alarm_description=f"Evidence of {self._prefix}; starts nothing by itself",
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods or self._settings.evaluation_periods,
            datapoints_to_alarm=periods or self._settings.datapoints_to_alarm,
            treat_missing_data=missing,
        )

    def _composite(self, id_: str, name: str, leaves: list[cloudwatch.Alarm]) -> cloudwatch.CompositeAlarm:
        return cloudwatch.CompositeAlarm(
            self,
            id_,
            composite_alarm_name=name,
            alarm_description="Starts a rollback on its way from OK to ALARM; never set it by hand",
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(cloudwatch.AlarmRule.from_alarm(leaf, cloudwatch.AlarmState.ALARM) for leaf in leaves)
            ),
        )

    def _metric(self, namespace: str, name: str, statistic: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            statistic=statistic,
            dimensions_map=dimensions,
            period=Duration.seconds(self._settings.period_seconds),
        )

    def _math(self, expression: str, label: str, metrics: dict[str, cloudwatch.IMetric]) -> cloudwatch.MathExpression:
        return cloudwatch.MathExpression(
            expression=expression,
            label=label,
            using_metrics=metrics,
            period=Duration.seconds(self._settings.period_seconds),
        )

    def _per_group(self, name: str, statistic: str, letter: str) -> dict[str, cloudwatch.IMetric]:
        """The metric of every target group, under ids `<letter>0`, `<letter>1`, …"""
        balancer = self._service.load_balancer
        return {
            f"{letter}{index}": self._metric(
                _BALANCER, name, statistic, {"LoadBalancer": balancer, "TargetGroup": group}
            )
            for index, group in enumerate(self._service.target_groups)
        }

    def _requests(self) -> tuple[str, dict[str, cloudwatch.IMetric]]:
        """Requests, those included that the load balancer answered by itself: expression and its metrics."""
        metrics = self._per_group("RequestCount", "Sum", "r")
        own = self._metric(_BALANCER, "HTTPCode_ELB_5XX_Count", "Sum", {"LoadBalancer": self._service.load_balancer})
        metrics["b"] = own
        return "(" + "+".join(f"FILL({name},0)" for name in metrics) + ")", metrics

    def _error_rate(self) -> cloudwatch.IMetric:
        requests, metrics = self._requests()
        failed = self._per_group("HTTPCode_Target_5XX_Count", "Sum", "t")
        errors = "(" + "+".join(f"FILL({name},0)" for name in [*failed, "b"]) + ")"
        guard = f"{requests} >= {self._settings.min_requests_per_period}"
        return self._math(f"IF({guard}, 100*{errors}/{requests}, 0)", "5xx, % of requests", metrics | failed)

    def _latency(self) -> cloudwatch.IMetric:
        requests, metrics = self._requests()
        slowest = self._per_group("TargetResponseTime", "p95", "l")
        latency = "MAX([" + ",".join(f"FILL({name},0)" for name in slowest) + "])"
        guard = f"{requests} >= {self._settings.min_requests_per_period}"
        return self._math(f"IF({guard}, {latency}, 0)", "p95 latency, seconds", metrics | slowest)

    def _hosts(self, name: str) -> cloudwatch.IMetric:
        hosts = self._per_group(name, "Minimum", "h")
        return self._math("SUM([" + ",".join(hosts) + "])", name, hosts)

    def _shortfall(self) -> cloudwatch.IMetric:
        dimensions = {"ClusterName": self._service.cluster, "ServiceName": self._service.ecs_service}
        counts: dict[str, cloudwatch.IMetric] = {
            "wanted": self._metric(_INSIGHTS, "DesiredTaskCount", "Minimum", dimensions),
            "running": self._metric(_INSIGHTS, "RunningTaskCount", "Maximum", dimensions),
        }
        return self._math("wanted-running", "tasks missing", counts)

    def _error_logs(self) -> cloudwatch.IMetric:
        group = logs.LogGroup.from_log_group_name(self, "Logs", self._service.log_group)
        counted = logs.MetricFilter(
            self,
            "ErrorLogFilter",
            log_group=group,
            filter_pattern=logs.FilterPattern.literal(self._settings.error_log_pattern),
            metric_namespace=f"{self._prefix}/rollback",
            metric_name="ErrorLogs",
            metric_value="1",
            default_value=0,
        )
        return counted.metric(statistic="Sum", period=Duration.seconds(self._settings.period_seconds))
