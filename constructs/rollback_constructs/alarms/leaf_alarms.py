"""Leaf alarms of one service: each is evidence, and starts no rollback alone.

Rule 11: no alarm treats missing data as missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from rollback.names import leaf_alarm
from rollback_constructs.alarms.alarm_settings import AlarmSettings
from rollback_constructs.attachment import Attachment

ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
MISSING_IS_OK = cloudwatch.TreatMissingData.NOT_BREACHING
MISSING_IS_ALARM = cloudwatch.TreatMissingData.BREACHING


@dataclass(frozen=True)
class LeafAlarms:
    """Creates the leaf alarms of one service.

    Attributes:
        scope: parent of the alarms.
        prefix: prefix of the environment.
        service: the service.
        settings: limits of the alarms.
    """

    scope: Construct
    prefix: str
    service: Attachment
    settings: AlarmSettings

    def add(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        name: str,
        threshold: float,
        periods: int | None = None,
        *,
        number: int = 0,
        comparison: cloudwatch.ComparisonOperator = ABOVE,
        missing: cloudwatch.TreatMissingData = MISSING_IS_OK,
    ) -> cloudwatch.Alarm:
        """Create an alarm on M of N periods; if `periods` is set, on all of these periods."""
        return cloudwatch.Alarm(
            self.scope,
            f"{id_}{number + 1 if number else ''}",
            alarm_name=leaf_alarm(self.prefix, self.service.name, name, number),
            alarm_description=(
                f"Evidence about {self.service.name} ({name}). This alarm alone starts no rollback: it is part of a "
                "composite alarm, degraded or outage. No action is needed unless the composite alarm fires."
            ),
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods or self.settings.evaluation_periods,
            datapoints_to_alarm=periods or self.settings.datapoints_to_alarm,
            treat_missing_data=missing,
        )

    def metric(
        self, namespace: str, name: str, statistic: str, dimensions: Mapping[str, str], periods: int = 1
    ) -> cloudwatch.Metric:
        """Return a metric over a number of the alarms' periods."""
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            statistic=statistic,
            dimensions_map=dict(dimensions),
            period=Duration.seconds(self.settings.period_seconds * periods),
        )

    def math(self, expression: str, label: str, metrics: Mapping[str, cloudwatch.IMetric]) -> cloudwatch.MathExpression:
        """Return an expression over metrics.

        No expression uses `FILL`. Whether it makes zeros of a metric that never had a data point is documented nowhere.
        In an alarm it may replace the newest minute, which is only late. Aggregates over arrays use the data points
        that exist. Bare operators get aggregates only (CloudWatch user guide, "Metric math syntax and functions").
        """
        return cloudwatch.MathExpression(
            expression=expression,
            label=label,
            using_metrics=dict(metrics),
            period=Duration.seconds(self.settings.period_seconds),
        )


def aggregate(function: str, metrics: Iterable[str]) -> str:
    """Aggregate several series to one; for a single series the function would return one number for its whole time."""
    ids = list(metrics)
    return f"{function}([{','.join(ids)}])" if len(ids) > 1 else ids[0]
