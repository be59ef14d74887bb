"""Metrics that the functions write, for dashboards and alarms of the importing app."""

from collections.abc import Mapping
from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from rollback.domain.phases import PHASES
from rollback.domain.request import RollbackType
from rollback.domain.settings.environment import Settings
from rollback.names import (
    METRIC_DATABASE_FAILURES,
    METRIC_DATABASE_LATENCY,
    METRIC_DAYS_SINCE_DRILL,
    METRIC_DRILLS,
    METRIC_LATE_DELIVERIES,
    METRIC_NAMESPACE,
    METRIC_ROLLBACK_AVAILABLE,
    METRIC_ROLLBACKS,
    METRIC_ROLLBACKS_ACTED,
    METRIC_ROLLBACKS_SUCCEEDED,
    METRIC_STALE_LEASES,
    METRIC_SWEEPS,
    metric_dimensions,
    phase_metric,
)

Phase = Literal["detect", "decide", "act", "verify"]
_DAY, _HOUR = Duration.days(1), Duration.hours(1)


class RollbackMetrics:
    """Makes metrics of one environment.

    `period` defaults to a day for what a rollback writes when it is concluded, and to an hour for what the janitor
    writes. `service` defaults to the first service of the environment.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the environment's names from its settings."""
        self._of = metric_dimensions(settings.application, settings.environment)
        self._settings = settings

    def recovery_seconds(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        phase: Phase | None = None,
        is_drill: bool = False,
        service: str | None = None,
        statistic: str = "Maximum",
        period: Duration | None = None,
    ) -> cloudwatch.Metric | cloudwatch.MathExpression:
        """Return the seconds of a phase of rollbacks; without a phase, of all phases together.

        All phases together are the sum of each phase's statistic. With `Maximum` no rollback took longer, and with a
        percentile the sum is of different rollbacks.
        """
        each = {
            name: self._concluded(phase_metric(name, is_drill=is_drill), rollback_type, service, statistic, period)
            for name in (PHASES if phase is None else (phase,))
        }
        if phase is not None:
            return each[phase]
        return cloudwatch.MathExpression(
            expression=f"SUM([{','.join(each)}])",
            using_metrics=dict(each),
            label="seconds to recover",
            period=period or _DAY,
        )

    def rollbacks(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        service: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return the count of concluded rollbacks, with any outcome."""
        return self._concluded(METRIC_ROLLBACKS, rollback_type, service, "Sum", period)

    def rollbacks_succeeded(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        service: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return the count of rollbacks that succeeded."""
        return self._concluded(METRIC_ROLLBACKS_SUCCEEDED, rollback_type, service, "Sum", period)

    def rollbacks_acted(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        service: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return the count of rollbacks that deployed to the service, or changed the database."""
        return self._concluded(METRIC_ROLLBACKS_ACTED, rollback_type, service, "Sum", period)

    def drills(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        service: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return the count of concluded drills."""
        return self._concluded(METRIC_DRILLS, rollback_type, service, "Sum", period)

    def rollback_available(self, *, service: str | None = None, period: Duration | None = None) -> cloudwatch.Metric:
        """Return 1 while a release exists to go back to and no check fails, else 0."""
        return self._metric(METRIC_ROLLBACK_AVAILABLE, "Minimum", self._of_service(service), period)

    def stale_leases(self, *, service: str | None = None, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the count of leases that ran out and were not given back."""
        return self._metric(METRIC_STALE_LEASES, "Maximum", self._of_service(service), period)

    def days_since_drill(self, *, service: str | None = None, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the age of the last successful drill; written if drills have a schedule."""
        return self._metric(METRIC_DAYS_SINCE_DRILL, "Maximum", self._of_service(service), period)

    def janitor_sweeps(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the count of the janitor's sweeps; 0 means that the rollback system itself has stopped."""
        return self._metric(METRIC_SWEEPS, "Sum", {}, period)

    def late_deliveries(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the count of messages to chat or GitHub that are due for a quarter of an hour."""
        return self._metric(METRIC_LATE_DELIVERIES, "Maximum", {}, period)

    def database_failures(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the count of looks at the database that it did not answer; written where a branch is observed."""
        return self._metric(METRIC_DATABASE_FAILURES, "Sum", {}, period)

    def database_latency_milliseconds(self, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return the duration of one query in an open session; written where a branch is observed."""
        return self._metric(METRIC_DATABASE_LATENCY, "Average", {}, period)

    def _concluded(
        self, name: str, rollback_type: RollbackType | str, service: str | None, statistic: str, period: Duration | None
    ) -> cloudwatch.Metric:
        dimensions = {**self._of_service(service), "Type": str(RollbackType(rollback_type))}
        return self._metric(name, statistic, dimensions, period or _DAY)

    def _of_service(self, service: str | None) -> dict[str, str]:
        """Return the dimension of a service.

        Raises:
            InvalidRequest: the environment has no such service.
        """
        found = self._settings.service(service) if service is not None else self._settings.services[0]
        return {"Service": found.name}

    def _metric(
        self, name: str, statistic: str, dimensions: Mapping[str, str], period: Duration | None
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=METRIC_NAMESPACE,
            metric_name=name,
            statistic=statistic,
            dimensions_map={**self._of, **dimensions},
            period=period or _HOUR,
        )
