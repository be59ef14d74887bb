"""Metrics as log lines in CloudWatch's embedded metric format: nothing is called, so nothing can fail.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import sys
import time
from datetime import datetime
from typing import Any, TextIO

from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.names import (
    METRIC_LATE_DELIVERIES,
    METRIC_NAMESPACE,
    METRIC_ROLLBACK_AVAILABLE,
    METRIC_STALE_LEASES,
    METRIC_SWEEPS,
    metric_dimensions,
)

DIMENSIONS = ("Application", "Environment", "Service", "Type")


class LoggedMetrics:
    """Adapter that writes a line of JSON to stdout, which Lambda logs.

    The application is a dimension too, since two applications may both have a `production` in one account.
    """

    def __init__(self, application: str, environment: str, out: TextIO | None = None) -> None:
        self._of = metric_dimensions(application, environment)
        self._out = out

    def record_conclusion(self, rollback: Rollback) -> None:
        """Write a line at the time of the conclusion."""
        self._write(metric_line(rollback, rollback.concluded_at or rollback.created_at, self._of))

    def record_sweep(self) -> None:
        """Write a line at the present time."""
        self._write(_counts(self._of, {METRIC_SWEEPS: 1}))

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """Write a line with the service as a dimension."""
        dimensions = {**self._of, "Service": service}
        self._write(
            _counts(
                dimensions, {METRIC_ROLLBACK_AVAILABLE: int(is_rollback_available), METRIC_STALE_LEASES: stale_leases}
            )
        )

    def record_deliveries(self, *, late: int) -> None:
        """Write a line at the present time."""
        self._write(_counts(self._of, {METRIC_LATE_DELIVERIES: late}))

    def _write(self, line: dict[str, Any]) -> None:
        out = self._out or sys.stdout  # looked up late: Lambda and pytest replace it
        out.write(json.dumps(line) + "\n")
        out.flush()


def _counts(dimensions: dict[str, str], values: dict[str, int]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": "Count"} for name in values]
    definition = {"Namespace": METRIC_NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}
    now = int(time.time() * 1000)
    return {"_aws": {"Timestamp": now, "CloudWatchMetrics": [definition]}, **dimensions, **values}


def metric_line(rollback: Rollback, at: datetime, of: dict[str, str]) -> dict[str, Any]:
    """Return the line about a concluded rollback.

    Members that are neither metrics nor dimensions are properties, by which CloudWatch Logs can be searched.
    """
    seconds = {f"{phase.capitalize()}Seconds": value for phase, value in phases(rollback).items()}
    metrics = [{"Name": "Rollbacks", "Unit": "Count"}, *({"Name": name, "Unit": "Seconds"} for name in seconds)]
    definition = {"Namespace": METRIC_NAMESPACE, "Dimensions": [list(DIMENSIONS)], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [definition]},
        **of,
        "Service": rollback.service_name,
        "Type": str(rollback.request.type),
        "Rollbacks": 1,
        **seconds,
        "outcome": str(rollback.outcome) if rollback.outcome is not None else "",
        "rollback_id": rollback.id,
        "trigger": str(rollback.trigger),
    }
