"""GetMetricStatistics by exactly the requested dimensions; GetMetricData whatever their order, and with percentiles.

To CloudWatch each combination of dimensions is a metric of its own. moto adds up every metric that has the requested
dimensions among others, so a load balancer's requests would count again for each target group. moto compares
dimensions by name only, so GetMetricData misses a metric whose dimensions come in another order. moto knows no
percentile and answers 500; CloudWatch takes `p0.0` to `p100` (user guide, "CloudWatch statistics definitions",
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).
"""

from __future__ import annotations

import math
import re
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension, Statistics

_stock = CloudWatchBackend.get_metric_statistics
_stock_statistic = Statistics.get_statistics_for_type
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d+)?)")


class _SelectedMetrics:
    """The part of moto's backend that its GetMetricStatistics reads, with the selected metrics only."""

    def __init__(self, metrics: list[Any]) -> None:
        self._metrics = metrics

    def get_all_metrics(self) -> list[Any]:
        return self._metrics


def install() -> None:
    """Replace moto's operation, the order of its dimensions, and its statistics. Repeated calls change nothing."""
    CloudWatchBackend.get_metric_statistics = _get_metric_statistics
    Dimension.__lt__ = _comes_before
    Statistics.get_statistics_for_type = _get_statistic


def _comes_before(left: Any, right: Any) -> bool:
    return bool((left.name, left.value) < (right.name, right.value))


def _get_statistic(statistics: Any, name: str) -> Any:
    """Compute a percentile as the smallest value that so many percent of the values don't exceed; else ask moto."""
    match, values = _PERCENTILE.fullmatch(name), sorted(statistics.metric_single_values_list)
    if match is None or not values:
        return _stock_statistic(statistics, name)
    rank = math.ceil(float(match[1]) / 100 * len(values))
    return values[min(max(rank, 1), len(values)) - 1]


def _get_metric_statistics(
    backend: Any,
    namespace: str,
    metric_name: str,
    start_time: Any,
    end_time: Any,
    period: int,
    stats: list[str],
    dimensions: list[dict[str, str]],
    unit: str | None = None,
) -> Any:
    requested = sorted((dimension["Name"], dimension["Value"]) for dimension in dimensions or [])
    exact = [
        metric
        for metric in backend.get_all_metrics()
        if sorted((d.name, d.value) for d in metric.dimensions) == requested
    ]
    return _stock(
        _SelectedMetrics(exact), namespace, metric_name, start_time, end_time, period, stats, dimensions, unit
    )
