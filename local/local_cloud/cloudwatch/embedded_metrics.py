"""Metric data from log lines in CloudWatch's embedded metric format, as CloudWatch Logs extracts it.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import datetime
import json
from collections.abc import Iterator
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends


def publish(account: str, region: str, message: str) -> None:
    """Put the metrics of a log line. A line that is no document of this format has none."""
    for namespace, data in _metrics(message):
        cloudwatch_backends[account][region].put_metric_data(namespace, data)


def _metrics(message: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield namespace and MetricData of each directive."""
    if '"_aws"' not in message:
        return
    try:
        document = json.loads(message)
        metadata = document["_aws"]
        moment = datetime.datetime.fromtimestamp(metadata["Timestamp"] / 1000, datetime.UTC).replace(tzinfo=None)
        directives = metadata["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        data = [
            {
                "MetricName": metric["Name"],
                "Dimensions": [{"Name": name, "Value": str(document[name])} for name in dimensions],
                "Unit": metric.get("Unit", "None"),
                "Timestamp": moment,
                "Values": value if isinstance(value, list) else [value],
            }
            for metric in directive["Metrics"]
            if (value := document.get(metric["Name"])) is not None
            for dimensions in directive["Dimensions"] or [[]]
            if all(name in document for name in dimensions)
        ]
        if data:
            yield directive["Namespace"], data
