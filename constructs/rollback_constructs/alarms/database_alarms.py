"""Alarms on the database's connectivity and latency. Each pages; none starts a rollback.

The database function measures at each look (`rollback.database.observation.probe`). Between looks there is no data, so
missing data keeps the alarm's state, as it does for the janitor's findings (decision 6). The alarms on the function and
on the janitor page when the looks themselves stop.
"""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.domain.settings.database import DatabaseSettings
from rollback.names import METRIC_DATABASE_FAILURES, METRIC_DATABASE_LATENCY, METRIC_NAMESPACE, metric_dimensions

_DAY_MINUTES = 24 * 60  # the longest that an alarm with a period below an hour evaluates


class DatabaseAlarmSettings(BaseModel):
    """Limits beyond which the database pages an operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failed_looks: int = Field(
        default=2, ge=1, le=12, description="looks in a row without an answer; each look tries two sessions"
    )
    max_query_milliseconds: float = Field(
        default=1000, gt=0, description="average of one short query, without the start of a suspended compute"
    )
    slow_looks: int = Field(default=3, ge=1, le=12, description="looks in a row that are slower than that")


class DatabaseAlarms(Construct):
    """Creates the alarms (`alarms`); each publishes to the critical topic."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        application: str,
        environment: str,
        database: DatabaseSettings,
        settings: DatabaseAlarmSettings,
        janitor_minutes: int,
        critical: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        self._dimensions, self._critical = metric_dimensions(application, environment), critical
        self.alarms: list[cloudwatch.Alarm] = []
        # A look that failed is repeated at the function's next scheduled run.
        self._alarm(
            "Unreachable",
            f"{prefix}-rollback-database-unreachable",
            f"The database of {environment} did not answer. No rollback is started. Look at the project in Neon's "
            f"console, and run rollback status {environment}.",
            METRIC_DATABASE_FAILURES,
            "Sum",
            0,
            settings.failed_looks,
            janitor_minutes,
        )
        look_minutes = round(database.probe_minutes or database.observe_minutes) or 1
        self._alarm(
            "Slow",
            f"{prefix}-rollback-database-slow",
            f"A short query on the database of {environment} takes more than {settings.max_query_milliseconds:g} ms. "
            "No rollback is started. Look at the load of the compute in Neon's console.",
            METRIC_DATABASE_LATENCY,
            "Average",
            settings.max_query_milliseconds,
            settings.slow_looks,
            min(look_minutes, _DAY_MINUTES),
        )

    def _alarm(
        self,
        id_: str,
        name: str,
        description: str,
        metric: str,
        statistic: str,
        threshold: float,
        looks: int,
        minutes: int,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=name,
            alarm_description=description,
            metric=cloudwatch.Metric(
                namespace=METRIC_NAMESPACE,
                metric_name=metric,
                statistic=statistic,
                dimensions_map=self._dimensions,
                period=Duration.minutes(minutes),
            ),
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=max(1, min(looks, _DAY_MINUTES // minutes)),
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )
        alarm.add_alarm_action(actions.SnsAction(self._critical))
        self.alarms.append(alarm)
