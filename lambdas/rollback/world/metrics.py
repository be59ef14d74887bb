"""Numbers for the dashboard, as a log line in CloudWatch's embedded metric format: no call, so nothing can fail.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import sys
from datetime import datetime
from typing import Any, TextIO

from rollback.model.phases import phases
from rollback.model.rollback import Rollback

NAMESPACE = "Rollback"
DIMENSIONS = ("Environment", "Service", "Type")


class LoggedMetrics:
    """Adapter: one line of JSON to stdout, which Lambda logs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def concluded(self, rollback: Rollback) -> None:
        """Count a rollback, and how long each of its phases took."""
        out = self._out or sys.stdout  # looked up late: Lambda and pytest replace it
        at = rollback.concluded_at or rollback.created_at
        out.write(json.dumps(metric_line(rollback, at)) + "\n")
        out.flush()


def metric_line(rollback: Rollback, at: datetime) -> dict[str, Any]:
    """The line. What is no metric and no dimension is a property, to be searched for in the log."""
    seconds = {f"{phase.capitalize()}Seconds": value for phase, value in phases(rollback).items()}
    metrics = [{"Name": "Rollbacks", "Unit": "Count"}, *({"Name": name, "Unit": "Seconds"} for name in seconds)]
    definition = {"Namespace": NAMESPACE, "Dimensions": [list(DIMENSIONS)], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [definition]},
        "Environment": rollback.environment,
        "Service": rollback.service_name,
        "Type": str(rollback.request.type),
        "Rollbacks": 1,
        **seconds,
        "outcome": str(rollback.outcome) if rollback.outcome is not None else "",
        "rollback_id": rollback.id,
        "trigger": str(rollback.trigger),
    }
