"""Alarms of one service: leaf alarms are evidence, the two composite alarms start rollbacks.

Guards count `RequestCount + HTTPCode_ELB_5XX_Count`. `RequestCount` alone leaves out requests for which ELB chose no
target, and a total outage has only such requests (ELB user guide). On a load balancer that other services use too, its
5xx errors may be theirs. There the alarms count `TargetConnectionErrorCount`, which ELB has by target group.
Rule 11: no alarm treats missing data as missing.

`Minimum` and `Maximum` of host counts are over load balancer nodes and zones. So a target counts as healthy if any node
finds it healthy, and as unhealthy if every node does (ELB user guide, "Statistics for Application Load Balancer
metrics").

No expression uses `FILL`. Whether it makes zeros of a metric that never had a data point is documented nowhere. In an
alarm it may replace the newest minute, which is only late. Aggregates over arrays use the data points that exist. Bare
operators get aggregates only (CloudWatch user guide, "Metric math syntax and functions").

An alarm takes ten metrics at most, so many target groups of a shared load balancer become several alarms.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.names import (
    ERROR_LOGS_METRIC,
    NO_HEALTHY_TARGETS,
    degraded_alarm,
    error_logs_namespace,
    leaf_alarm,
    outage_alarm,
)
from rollback_constructs.attachment import Attachment

_BALANCER = "AWS/ApplicationELB"
_INSIGHTS = "ECS/ContainerInsights"
_MAX_GROUPS_PER_ALARM = 3  # three metrics each, of the ten that an alarm takes
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


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
        description="tasks that may fail in a period: the container's exit code is not 0, or the task can't start; "
        "default: 3 for a service without a load balancer, else no alarm",
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


class ServiceAlarms(Construct):
    """Creates the alarms.

    Attributes:
        degraded: composite alarm; starts a service rollback.
        outage: composite alarm; starts an emergency rollback.
        evidence: their leaf alarms.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        environment: str,
        service: Attachment,
        settings: AlarmSettings,
    ) -> None:
        super().__init__(scope, id_)
        self._service, self._settings, self._prefix, self._environment = service, settings, prefix, environment
        (self._balancer,) = service.balancers
        s = settings
        errors = self._traffic_alarm("ErrorRate", "error-rate", self._error_rate, s.max_error_rate_percent)
        latency = self._traffic_alarm("Latency", "latency", self._latency, s.max_p95_latency_seconds)
        error_logs = self._leaf(
            "ErrorLogs", self._error_logs(), "error-logs", s.max_error_logs_per_minute * s.period_seconds / 60
        )
        unhealthy = self._target_group_alarm(
            "UnhealthyTargets", "unhealthy-targets", "UnHealthyHostCount", "Minimum", s.max_unhealthy_targets
        )
        shortfall = self._leaf(
            "TaskShortfall", self._shortfall(), "task-shortfall", s.max_missing_tasks, s.shortfall_evaluation_periods
        )
        near_total = self._traffic_alarm(
            "NearTotalErrors",
            "near-total-errors",
            self._error_rate,
            s.outage_error_rate_percent,
            s.outage_evaluation_periods,
            comparison=_AT_LEAST,
        )
        no_healthy = self._target_group_alarm(
            "NoHealthyTargets",
            NO_HEALTHY_TARGETS,
            "HealthyHostCount",
            "Maximum",
            1,
            s.outage_evaluation_periods,
            comparison=_BELOW,
            missing=cloudwatch.TreatMissingData.BREACHING,  # without data the group has no targets
        )
        self.evidence = (*errors, *latency, error_logs, *unhealthy, shortfall, *near_total, *no_healthy)
        self.degraded = self._composite(
            "Degraded",
            degraded_alarm(prefix, service.name),
            *map(_alarm_rule, (*errors, *latency, error_logs, *unhealthy, shortfall)),
        )
        no_healthy_rules = tuple(map(_alarm_rule, no_healthy))  # one for each target group
        self.outage = self._composite(
            "Outage",
            outage_alarm(prefix, service.name),
            cloudwatch.AlarmRule.all_of(*no_healthy_rules) if len(no_healthy_rules) > 1 else no_healthy_rules[0],
            *map(_alarm_rule, near_total),
        )

    def _traffic_alarm(
        self,
        id_: str,
        name: str,
        measure: Callable[[tuple[str, ...]], cloudwatch.IMetric],
        threshold: float,
        periods: int | None = None,
        **alarm_options: Any,
    ) -> list[cloudwatch.Alarm]:
        """Create one alarm on the load balancer if it is the service's own, else one for every three target groups."""
        batches = list(_batches(self._balancer.target_groups)) if self._balancer.is_shared else [()]
        return [
            self._leaf(id_, measure(groups), name, threshold, periods, number=number, **alarm_options)
            for number, groups in enumerate(batches)
        ]

    def _target_group_alarm(
        self,
        id_: str,
        name: str,
        metric: str,
        statistic: str,
        threshold: float,
        periods: int | None = None,
        **alarm_options: Any,
    ) -> list[cloudwatch.Alarm]:
        """Create one alarm for each target group: a group without data is no evidence about the others."""
        return [
            self._leaf(
                id_,
                self._group_metric(metric, statistic, group),
                name,
                threshold,
                periods,
                number=number,
                **alarm_options,
            )
            for number, group in enumerate(self._balancer.target_groups)
        ]

    def _leaf(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        name: str,
        threshold: float,
        periods: int | None = None,
        *,
        number: int = 0,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """Create an alarm on M of N periods; if `periods` is set, on all of these periods."""
        return cloudwatch.Alarm(
            self,
            f"{id_}{number + 1 if number else ''}",
            alarm_name=leaf_alarm(self._prefix, self._service.name, name, number),
            alarm_description=(
                f"Evidence about {self._service.name} ({name}). This alarm alone starts no rollback: it is part of a "
                "composite alarm, degraded or outage. No action is needed unless the composite alarm fires."
            ),
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods or self._settings.evaluation_periods,
            datapoints_to_alarm=periods or self._settings.datapoints_to_alarm,
            treat_missing_data=missing,
        )

    def _composite(self, id_: str, name: str, *any_of: cloudwatch.IAlarmRule) -> cloudwatch.CompositeAlarm:
        return cloudwatch.CompositeAlarm(
            self,
            id_,
            composite_alarm_name=name,
            alarm_description=(
                f"This alarm starts a rollback of {self._service.name} when the alarm goes from OK to ALARM. Do not "
                f"set the state of this alarm yourself. To follow the rollback, run rollback status "
                f"{self._environment} or rollback history {self._environment}."
            ),
            alarm_rule=cloudwatch.AlarmRule.any_of(*any_of),
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

    def _group_metric(self, name: str, statistic: str, group: str) -> cloudwatch.Metric:
        dimensions = {"LoadBalancer": self._balancer.name, "TargetGroup": group}
        return self._metric(_BALANCER, name, statistic, dimensions)

    def _per_group_metrics(
        self, name: str, statistic: str, letter: str, groups: tuple[str, ...]
    ) -> dict[str, cloudwatch.IMetric]:
        """Return the metric of each target group (`<letter>0`, …); without groups, that of the load balancer."""
        if not groups:
            return {letter: self._metric(_BALANCER, name, statistic, {"LoadBalancer": self._balancer.name})}
        return {f"{letter}{index}": self._group_metric(name, statistic, group) for index, group in enumerate(groups)}

    def _requests(self, groups: tuple[str, ...]) -> dict[str, cloudwatch.IMetric]:
        """Return the request counts; without target groups, with the requests that ELB itself answered."""
        balancer_errors = self._per_group_metrics("HTTPCode_ELB_5XX_Count", "Sum", "b", ()) if not groups else {}
        return self._per_group_metrics("RequestCount", "Sum", "r", groups) | balancer_errors

    def _error_rate(self, groups: tuple[str, ...]) -> cloudwatch.IMetric:
        requests = self._requests(groups)
        refused = (
            self._per_group_metrics("TargetConnectionErrorCount", "Sum", "c", groups)
            if groups
            else {"b": requests["b"]}
        )
        failed = self._per_group_metrics("HTTPCode_Target_5XX_Count", "Sum", "t", groups) | refused
        rate = f"100*{_aggregate('SUM', failed)}/{_aggregate('SUM', requests)}"
        return self._math(self._with_minimum_requests(requests, rate), "5xx, % of requests", requests | failed)

    def _latency(self, groups: tuple[str, ...]) -> cloudwatch.IMetric:
        requests, slowest = self._requests(groups), self._per_group_metrics("TargetResponseTime", "p95", "l", groups)
        expression = self._with_minimum_requests(requests, _aggregate("MAX", slowest))
        return self._math(expression, "p95 latency, seconds", requests | slowest)

    def _with_minimum_requests(self, requests: dict[str, cloudwatch.IMetric], expression: str) -> str:
        """Evaluate an expression only with enough requests: few are no evidence about rates and latency."""
        return f"IF({_aggregate('SUM', requests)} >= {self._settings.min_requests_per_period}, {expression}, 0)"

    def _shortfall(self) -> cloudwatch.IMetric:
        """Return the missing tasks; without a count of running tasks from Container Insights there is no data point."""
        dimensions = {"ClusterName": self._service.cluster, "ServiceName": self._service.ecs_service}
        counts: dict[str, cloudwatch.IMetric] = {
            "desired": self._metric(_INSIGHTS, "DesiredTaskCount", "Minimum", dimensions),
            "running": self._metric(_INSIGHTS, "RunningTaskCount", "Maximum", dimensions),
        }
        return self._math("IF(running >= 0, desired-running)", "tasks missing", counts)

    def _error_logs(self) -> cloudwatch.IMetric:
        group = logs.LogGroup.from_log_group_name(self, "Logs", self._service.log_group)
        pattern = self._service.error_log_pattern or self._settings.error_log_pattern
        metric_filter = logs.MetricFilter(
            self,
            "ErrorLogFilter",
            log_group=group,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=error_logs_namespace(self._prefix, self._service.name),
            metric_name=ERROR_LOGS_METRIC,
            metric_value="1",
            default_value=0,
        )
        return metric_filter.metric(statistic="Sum", period=Duration.seconds(self._settings.period_seconds))


def _batches(groups: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Split target groups into batches for one alarm each."""
    remaining_groups = iter(groups)
    while batch := tuple(itertools.islice(remaining_groups, _MAX_GROUPS_PER_ALARM)):
        yield batch


def _aggregate(function: str, metrics: Iterable[str]) -> str:
    """Aggregate several series to one; for a single series the function would return one number for its whole time."""
    ids = list(metrics)
    return f"{function}([{','.join(ids)}])" if len(ids) > 1 else ids[0]


def _alarm_rule(leaf: cloudwatch.Alarm) -> cloudwatch.IAlarmRule:
    return cloudwatch.AlarmRule.from_alarm(leaf, cloudwatch.AlarmState.ALARM)
