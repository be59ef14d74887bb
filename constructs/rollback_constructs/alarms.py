"""Alarms of one service: leaf alarms are evidence, the two composites start rollbacks.

Guards count `RequestCount + HTTPCode_ELB_5XX_Count`, because `RequestCount` leaves out requests for which no target
was chosen: a total outage has none (ELB user guide). The errors of a load balancer that others use too are not ours:
there connections that targets refuse are counted instead, which ELB tells by target group. No alarm treats missing
data as missing (rule 11).

`Minimum` and `Maximum` of host counts are over load balancer nodes and zones (ELB user guide, "Statistics for
Application Load Balancer metrics"): a target is healthy if any node says so, and unhealthy if every node does.

No expression needs `FILL`: whether it makes zeros of a metric that never had a data point is documented nowhere, and
in an alarm it may stand for the newest minute that is only late. Aggregates over arrays take what is there; a bare
operator would, too, by the guide (missing is 0), but is given aggregates only (CloudWatch user guide, "Metric math
syntax and functions"). An alarm takes ten metrics at most: many target groups of a shared balancer become several.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.names import NO_HEALTHY_TARGETS, degraded_alarm, leaf_alarm, outage_alarm
from rollback_constructs.attachment import Attachment

_BALANCER = "AWS/ApplicationELB"
_INSIGHTS = "ECS/ContainerInsights"
_GROUPS_AN_ALARM = 3  # with three metrics each, of the ten that an alarm takes
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


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
        self._service, self._settings, self._prefix = service, settings, prefix
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
            missing=cloudwatch.TreatMissingData.BREACHING,  # ELB counts no group without a target: nothing serves
        )
        self.evidence = (*errors, *latency, error_logs, *unhealthy, shortfall, *near_total, *no_healthy)
        self.degraded = self._composite(
            "Degraded",
            degraded_alarm(prefix, service.name),
            *map(_alarm_rule, (*errors, *latency, error_logs, *unhealthy, shortfall)),
        )
        nothing_healthy = tuple(map(_alarm_rule, no_healthy))  # in no target group
        self.outage = self._composite(
            "Outage",
            outage_alarm(prefix, service.name),
            cloudwatch.AlarmRule.all_of(*nothing_healthy) if len(nothing_healthy) > 1 else nothing_healthy[0],
            *map(_alarm_rule, near_total),
        )

    def _traffic_alarm(
        self,
        id_: str,
        name: str,
        measure: Callable[[tuple[str, ...]], cloudwatch.IMetric],
        threshold: float,
        periods: int | None = None,
        **how: Any,
    ) -> list[cloudwatch.Alarm]:
        """One alarm on the whole load balancer if it is the service's own, else one for every few target groups."""
        parts = list(_metric_references(self._service.target_groups)) if self._service.load_balancer_shared else [()]
        return [
            self._leaf(id_, measure(groups), name, threshold, periods, number=number, **how)
            for number, groups in enumerate(parts)
        ]

    def _target_group_alarm(
        self, id_: str, name: str, metric: str, statistic: str, threshold: float, periods: int | None = None, **how: Any
    ) -> list[cloudwatch.Alarm]:
        """One alarm for each target group: a group without data says nothing about the others."""
        return [
            self._leaf(
                id_, self._group_metric(metric, statistic, group), name, threshold, periods, number=number, **how
            )
            for number, group in enumerate(self._service.target_groups)
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
        """An alarm on M of N periods; given its own number of periods, on all of them."""
        return cloudwatch.Alarm(
            self,
            f"{id_}{number + 1 if number else ''}",
            alarm_name=leaf_alarm(self._prefix, self._service.name, name, number),
            alarm_description=f"Evidence of {self._prefix}-{self._service.name}; starts nothing by itself",
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
            alarm_description="Starts a rollback on its way from OK to ALARM; never set it by hand",
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
        dimensions = {"LoadBalancer": self._service.load_balancer, "TargetGroup": group}
        return self._metric(_BALANCER, name, statistic, dimensions)

    def _per_group_metrics(
        self, name: str, statistic: str, letter: str, groups: tuple[str, ...]
    ) -> dict[str, cloudwatch.IMetric]:
        """The metric of these target groups (`<letter>0`, `<letter>1`, …), or of the balancer if there are none."""
        if not groups:
            return {letter: self._metric(_BALANCER, name, statistic, {"LoadBalancer": self._service.load_balancer})}
        return {f"{letter}{index}": self._group_metric(name, statistic, group) for index, group in enumerate(groups)}

    def _requests(self, groups: tuple[str, ...]) -> dict[str, cloudwatch.IMetric]:
        """Requests; of a balancer of the service's own, those included that it answered by itself."""
        own = self._per_group_metrics("HTTPCode_ELB_5XX_Count", "Sum", "b", ()) if not groups else {}
        return self._per_group_metrics("RequestCount", "Sum", "r", groups) | own

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
        """Few requests say nothing about shares and times."""
        return f"IF({_aggregate('SUM', requests)} >= {self._settings.min_requests_per_period}, {expression}, 0)"

    def _shortfall(self) -> cloudwatch.IMetric:
        """Where Container Insights counts running tasks: a count that is missing is not zero."""
        dimensions = {"ClusterName": self._service.cluster, "ServiceName": self._service.ecs_service}
        counts: dict[str, cloudwatch.IMetric] = {
            "wanted": self._metric(_INSIGHTS, "DesiredTaskCount", "Minimum", dimensions),
            "running": self._metric(_INSIGHTS, "RunningTaskCount", "Maximum", dimensions),
        }
        return self._math("IF(running >= 0, wanted-running)", "tasks missing", counts)

    def _error_logs(self) -> cloudwatch.IMetric:
        group = logs.LogGroup.from_log_group_name(self, "Logs", self._service.log_group)
        pattern = self._service.error_log_pattern or self._settings.error_log_pattern
        counted = logs.MetricFilter(
            self,
            "ErrorLogFilter",
            log_group=group,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=f"{self._prefix}-{self._service.name}/rollback",
            metric_name="ErrorLogs",
            metric_value="1",
            default_value=0,
        )
        return counted.metric(statistic="Sum", period=Duration.seconds(self._settings.period_seconds))


def _metric_references(groups: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Few enough target groups for one alarm each."""
    rest = iter(groups)
    while part := tuple(itertools.islice(rest, _GROUPS_AN_ALARM)):
        yield part


def _aggregate(function: str, metrics: Iterable[str]) -> str:
    """Over an array; of a single series the function would be one number for all of it."""
    ids = list(metrics)
    return f"{function}([{','.join(ids)}])" if len(ids) > 1 else ids[0]


def _alarm_rule(leaf: cloudwatch.Alarm) -> cloudwatch.IAlarmRule:
    return cloudwatch.AlarmRule.from_alarm(leaf, cloudwatch.AlarmState.ALARM)
