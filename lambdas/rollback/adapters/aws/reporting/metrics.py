"""Metrics as log lines in CloudWatch's embedded metric format, by AWS Lambda Powertools: nothing is called.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.names import (
    METRIC_DATABASE_ANSWERS,
    METRIC_DATABASE_CONNECT,
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
from rollback.resources.database.probe import DatabaseProbe

_COUNT, _SECONDS, _MILLISECONDS = "Count", "Seconds", "Milliseconds"
Value = tuple[float, str]  # with its unit


class LoggedMetrics:
    """Adapter that writes a line of JSON to stdout, which Lambda logs.

    The application is a dimension too, since two applications may both have a `production` in one account.
    """

    def __init__(self, application: str, environment: str, out: TextIO | None = None) -> None:
        self._of = metric_dimensions(application, environment)
        self._out = out

    def record_conclusion(self, rollback: Rollback) -> None:
        """Write a line at the time of the conclusion; a drill is counted apart, so that no rehearsal is a failure."""
        at = rollback.concluded_at or rollback.created_at
        is_drill = rollback.is_drill
        succeeded = int(str(rollback.outcome) == "succeeded")
        counts: dict[str, Value] = (
            {METRIC_DRILLS: (1, _COUNT)}
            if is_drill
            else {
                METRIC_ROLLBACKS: (1, _COUNT),
                METRIC_ROLLBACKS_SUCCEEDED: (succeeded, _COUNT),
                METRIC_ROLLBACKS_ACTED: (int(rollback.has_acted), _COUNT),
            }
        )
        seconds = {phase_metric(phase, is_drill=is_drill): (s, _SECONDS) for phase, s in phases(rollback).items()}
        dimensions = {**self._of, "Service": rollback.service_name, "Type": str(rollback.request.type)}
        properties = {
            "outcome": str(rollback.outcome) if rollback.outcome is not None else "",
            "rollback_id": rollback.id,
            "trigger": str(rollback.trigger),
        }
        self._write({**counts, **seconds}, dimensions, properties, at)

    def record_sweep(self) -> None:
        """Write a line at the present time."""
        self._write({METRIC_SWEEPS: (1, _COUNT)}, self._of)

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """Write a line with the service as a dimension."""
        values = {
            METRIC_ROLLBACK_AVAILABLE: (int(is_rollback_available), _COUNT),
            METRIC_STALE_LEASES: (stale_leases, _COUNT),
        }
        self._write(values, {**self._of, "Service": service})

    def record_deliveries(self, *, late: int) -> None:
        """Write a line at the present time."""
        self._write({METRIC_LATE_DELIVERIES: (late, _COUNT)}, self._of)

    def record_drill_age(self, service: str, days: float) -> None:
        """Write a line with the service as a dimension."""
        self._write({METRIC_DAYS_SINCE_DRILL: (days, _COUNT)}, {**self._of, "Service": service})

    def record_database(self, probe: DatabaseProbe) -> None:
        """Write a line at the time of the probe; durations only if the database answered."""
        values: dict[str, Value] = {
            METRIC_DATABASE_ANSWERS: (int(probe.has_answered), _COUNT),
            METRIC_DATABASE_FAILURES: (int(not probe.has_answered), _COUNT),
        }
        if probe.connect_milliseconds is not None:
            values[METRIC_DATABASE_CONNECT] = (probe.connect_milliseconds, _MILLISECONDS)
        if probe.query_milliseconds is not None:
            values[METRIC_DATABASE_LATENCY] = (probe.query_milliseconds, _MILLISECONDS)
        self._write(values, self._of, {"attempts": probe.attempts}, probe.at)

    def _write(
        self,
        values: Mapping[str, Value],
        dimensions: Mapping[str, str],
        properties: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        line = _metric_line(values, dimensions, properties or {}, at)
        out = self._out or sys.stdout  # looked up late: Lambda and pytest replace it
        out.write(json.dumps(line, separators=(",", ":")) + "\n")
        out.flush()


def _metric_line(
    values: Mapping[str, Value], dimensions: Mapping[str, str], properties: Mapping[str, Any], at: datetime | None
) -> dict[str, Any]:
    """Return a line with one dimension set; each property is a member by which logs can be searched.

    A provider of its own has its own dictionaries: Powertools' usual ones are shared by the whole process.
    """
    # Without an empty `service`, Powertools would add the function's name as another dimension.
    provider = AmazonCloudWatchEMFProvider(
        metric_set={},
        dimension_set=dict(dimensions),
        metadata_set=dict(properties),
        namespace=METRIC_NAMESPACE,
        service="",
        default_dimensions={},
    )
    if at is not None:
        provider.timestamp = int(at.timestamp() * 1000)
    for name, (value, unit) in values.items():
        provider.add_metric(name, unit, value)
    line: dict[str, Any] = dict(provider.serialize_metric_set())
    for name in values:  # as numbers: Powertools writes a list for each metric
        (line[name],) = line[name]
    return line
