"""Traffic of target groups in CloudWatch: the queries for GetMetricData, and its results as minutes.

Metrics and dimensions: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.errors import ExternalServiceError
from rollback.resources.aws.traffic import TrafficMinute

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_MINUTE = timedelta(minutes=1)
_OF_TARGETS = {
    "requests": ("RequestCount", "Sum"),
    "targeterrors": ("HTTPCode_Target_5XX_Count", "Sum"),
    "p95": ("TargetResponseTime", "p95"),
}
_OF_BALANCERS = {"balancererrors": ("HTTPCode_ELB_5XX_Count", "Sum")}
_ANSWERED = ("Complete", "PartialData")  # PartialData: further pages have the rest


def traffic_queries(
    pairs: Iterable[tuple[str, str]], *, with_balancer_errors: bool
) -> "Iterator[MetricDataQueryTypeDef]":
    """Iterate over the queries. Each id begins with the name of the count, and ends with a number."""
    known_pairs = list(pairs)
    for number, (group, balancer) in enumerate(known_pairs):
        for name, (metric, statistic) in _OF_TARGETS.items():
            yield _query(f"{name}_{number}", metric, statistic, {"TargetGroup": group, "LoadBalancer": balancer})
    for number, balancer in enumerate(dict.fromkeys(balancer for _, balancer in known_pairs)):
        for name, (metric, statistic) in _OF_BALANCERS.items() if with_balancer_errors else ():
            yield _query(f"{name}_{number}", metric, statistic, {"LoadBalancer": balancer})


def traffic_minutes(
    results: Iterable[Mapping[str, Any]], begin: datetime, *, with_balancer_errors: bool
) -> tuple[TrafficMinute, ...]:
    """Add the results up, minute by minute. The answer time is that of the slowest target group.

    Raises:
        ExternalServiceError: CloudWatch could not answer a query: a missing count would look like a zero.
    """
    counts: dict[str, dict[datetime, float]] = defaultdict(lambda: defaultdict(float))
    for result in results:
        if result.get("StatusCode", "Complete") not in _ANSWERED:
            raise ExternalServiceError(f"GetMetricData did not answer {result['Id']}: {result['StatusCode']}")
        name = result["Id"].partition("_")[0]
        for at, value in zip(result["Timestamps"], result["Values"], strict=True):
            minute = at.astimezone(UTC).replace(second=0, microsecond=0)
            known = counts[name][minute]
            counts[name][minute] = max(known, value) if name == "p95" else known + value
    known_minutes = [at for values in counts.values() for at in values]
    if not known_minutes:
        return ()
    minutes = range(int((max(known_minutes) - begin.astimezone(UTC)) / _MINUTE) + 1)
    times = [begin.astimezone(UTC) + number * _MINUTE for number in minutes]
    return tuple(
        TrafficMinute(
            at=at,
            requests=counts["requests"].get(at, 0),
            target_errors=counts["targeterrors"].get(at, 0),
            balancer_errors=counts["balancererrors"].get(at, 0) if with_balancer_errors else None,
            p95_seconds=counts["p95"].get(at),
        )
        for at in times
    )


def _query(id_: str, metric: str, statistic: str, dimensions: Mapping[str, str]) -> "MetricDataQueryTypeDef":
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": int(_MINUTE.total_seconds()),
            "Stat": statistic,
        },
    }
