"""PutMetricFilter of CloudWatch Logs replaces the filter of the same name; moto keeps both.

"Creates or updates a metric filter" (CloudWatch Logs API reference, PutMetricFilter).
"""

from typing import Any

from moto.logs.models import LogsBackend

_stock_put_filter = LogsBackend.put_metric_filter


def install() -> None:
    """Replace moto's operation. Repeated calls change nothing."""
    LogsBackend.put_metric_filter = put_metric_filter


def put_metric_filter(
    self: Any, filter_name: str, filter_pattern: str, log_group_name: str, metric_transformations: Any
) -> None:
    """Store a metric filter in place of the one with this name and log group."""
    self.filters.delete_filter(filter_name, log_group_name)
    _stock_put_filter(self, filter_name, filter_pattern, log_group_name, metric_transformations)
