"""GetMetricStatistics by exactly the dimensions asked for.

To CloudWatch each combination of dimensions is a metric of its own; moto adds up every metric that has the dimensions
asked for among others, so that a load balancer's requests would count once more for each target group. GetMetricData
finds a metric whatever the order in which its dimensions are named; moto's are not in a total order.
"""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension

_stock = CloudWatchBackend.get_metric_statistics


class _SelectedMetrics:
    """As much of moto's backend as its GetMetricStatistics reads."""

    def __init__(self, metrics: list[Any]) -> None:
        self._metrics = metrics

    def get_all_metrics(self) -> list[Any]:
        return self._metrics


def install() -> None:
    """Replace the operation. Harmless when repeated."""
    CloudWatchBackend.get_metric_statistics = _get_metric_statistics
    Dimension.__lt__ = _comes_before


def _comes_before(one: Any, other: Any) -> bool:
    return bool((one.name, one.value) < (other.name, other.value))


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
    asked = sorted((dimension["Name"], dimension["Value"]) for dimension in dimensions or [])
    exact = [
        metric for metric in backend.get_all_metrics() if sorted((d.name, d.value) for d in metric.dimensions) == asked
    ]
    return _stock(
        _SelectedMetrics(exact), namespace, metric_name, start_time, end_time, period, stats, dimensions, unit
    )
