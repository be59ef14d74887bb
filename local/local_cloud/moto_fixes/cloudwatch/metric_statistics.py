"""GetMetricStatistics by exactly the requested dimensions, and GetMetricData whatever their order.

To CloudWatch each combination of dimensions is a metric of its own. moto adds up every metric that has the requested
dimensions among others, so a load balancer's requests would count again for each target group. moto compares
dimensions by name only, so GetMetricData misses a metric whose dimensions come in another order.
"""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension

_stock = CloudWatchBackend.get_metric_statistics


class _SelectedMetrics:
    """The part of moto's backend that its GetMetricStatistics reads, with the selected metrics only."""

    def __init__(self, metrics: list[Any]) -> None:
        self._metrics = metrics

    def get_all_metrics(self) -> list[Any]:
        return self._metrics


def install() -> None:
    """Replace moto's operation and the order of its dimensions. Repeated calls change nothing."""
    CloudWatchBackend.get_metric_statistics = _get_metric_statistics
    Dimension.__lt__ = _comes_before


def _comes_before(left: Any, right: Any) -> bool:
    return bool((left.name, left.value) < (right.name, right.value))


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
