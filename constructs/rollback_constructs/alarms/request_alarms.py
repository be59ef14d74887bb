"""Leaf alarms on requests behind Application Load Balancers: error rate and latency.

Guards count `RequestCount + HTTPCode_ELB_5XX_Count`. `RequestCount` alone leaves out requests for which ELB chose no
target, and a total outage has only such requests (ELB user guide). On a load balancer that other services use too, its
5xx errors may be theirs. There the alarms count `TargetConnectionErrorCount`, which ELB has by target group.

An alarm takes ten metrics at most, so many target groups of a shared load balancer become several alarms.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

from rollback_constructs.alarms.leaf_alarms import AT_LEAST, LeafAlarms, aggregate
from rollback_constructs.alarms.target_alarms import Alarms, group_metric, namespace_of
from rollback_constructs.attachment import AttachedBalancer

_MAX_GROUPS_PER_ALARM = 3  # three metrics each, of the ten that an alarm takes
_Metrics = dict[str, cloudwatch.IMetric]


@dataclass(frozen=True)
class _Requests:
    """Requests that one alarm counts.

    Attributes:
        balancer: their load balancer.
        groups: their target groups; none: all requests of the load balancer, and those that it refuses.
    """

    leaves: LeafAlarms
    balancer: AttachedBalancer
    groups: tuple[str, ...]

    def error_rate(self) -> cloudwatch.IMetric:
        """Return the share of requests that failed, in percent."""
        requests = self._counts()
        refused = self._metrics("TargetConnectionErrorCount", "Sum", "c") if self.groups else {"b": requests["b"]}
        failed = self._metrics("HTTPCode_Target_5XX_Count", "Sum", "t") | refused
        rate = f"100*{aggregate('SUM', failed)}/{aggregate('SUM', requests)}"
        return self.leaves.math(self._with_minimum(requests, rate), "5xx, % of requests", requests | failed)

    def latency(self) -> cloudwatch.IMetric:
        """Return the highest 95th percentile of the response times, in seconds."""
        requests, slowest = self._counts(), self._metrics("TargetResponseTime", "p95", "l")
        expression = self._with_minimum(requests, aggregate("MAX", slowest))
        return self.leaves.math(expression, "p95 latency, seconds", requests | slowest)

    def _counts(self) -> _Metrics:
        """Return the request counts; without target groups, with the requests that ELB itself answered."""
        own_errors = {} if self.groups else self._metrics("HTTPCode_ELB_5XX_Count", "Sum", "b")
        return self._metrics("RequestCount", "Sum", "r") | own_errors

    def _metrics(self, name: str, statistic: str, letter: str) -> _Metrics:
        """Return the metric of each target group (`<letter>0`, …); without groups, that of the load balancer."""
        leaves, balancer = self.leaves, self.balancer
        if not self.groups:
            return {
                letter: leaves.metric(namespace_of(balancer), name, statistic, {"LoadBalancer": balancer.name}),
            }
        return {
            f"{letter}{index}": group_metric(leaves, balancer, name, statistic, group)
            for index, group in enumerate(self.groups)
        }

    def _with_minimum(self, requests: _Metrics, expression: str) -> str:
        """Evaluate an expression only with enough requests: few are no evidence about rates and latency."""
        least = self.leaves.settings.min_requests_per_period
        return f"IF({aggregate('SUM', requests)} >= {least}, {expression}, 0)"


def alarm_on_errors(leaves: LeafAlarms) -> Alarms:
    """Create the alarms on the share of requests that fail."""
    limit = leaves.settings.max_error_rate_percent
    return tuple(
        leaves.add("ErrorRate", requests.error_rate(), "error-rate", limit, number=number)
        for number, requests in enumerate(_requests(leaves))
    )


def alarm_on_latency(leaves: LeafAlarms) -> Alarms:
    """Create the alarms on slow responses."""
    limit = leaves.settings.max_p95_latency_seconds
    return tuple(
        leaves.add("Latency", requests.latency(), "latency", limit, number=number)
        for number, requests in enumerate(_requests(leaves))
    )


def alarm_on_near_total_errors(leaves: LeafAlarms) -> Alarms:
    """Create the alarms on requests that almost all fail."""
    settings = leaves.settings
    return tuple(
        leaves.add(
            "NearTotalErrors",
            requests.error_rate(),
            "near-total-errors",
            settings.outage_error_rate_percent,
            settings.outage_evaluation_periods,
            number=number,
            comparison=AT_LEAST,
        )
        for number, requests in enumerate(_requests(leaves))
    )


def _requests(leaves: LeafAlarms) -> Iterator[_Requests]:
    """Yield what each alarm counts: a load balancer of the service's own, or three target groups of a shared one."""
    for balancer in leaves.service.balancers:
        if balancer.is_network:
            continue
        for groups in _batches(balancer.target_groups) if balancer.is_shared else [()]:
            yield _Requests(leaves, balancer, groups)


def _batches(groups: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Split target groups into batches for one alarm each."""
    remaining_groups = iter(groups)
    while batch := tuple(itertools.islice(remaining_groups, _MAX_GROUPS_PER_ALARM)):
        yield batch
