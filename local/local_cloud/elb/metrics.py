"""Counts of a load balancer, and the AWS/ApplicationELB metrics that it publishes in moto's CloudWatch.

Target metrics have the dimension LoadBalancer, and TargetGroup with LoadBalancer. The load balancer's own errors have
LoadBalancer only. Host counts have TargetGroup with LoadBalancer only. Zero counts are not published. A request without
a chosen target is no part of RequestCount. Source: ELB user guide, "CloudWatch metrics for your Application Load
Balancer".
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from local_cloud.elb.nodes import distribute_values, nodes_of, split_count

NAMESPACE = "AWS/ApplicationELB"


@dataclass
class Counts:
    """Counts of one interval by target group; `own` counts the load balancer's own errors."""

    by_group: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    response_seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    own: Counter[str] = field(default_factory=Counter)


class Counters:
    """Counts requests from many threads."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._lock = threading.Lock()

    def count_answer(self, target_group_arn: str, status: int, seconds: float) -> None:
        """Count an answer of a target, which took so many real seconds."""
        with self._lock:
            self._counts.by_group[target_group_arn].update(
                {"RequestCount": 1, f"HTTPCode_Target_{status // 100}XX_Count": 1}
            )
            self._counts.response_seconds[target_group_arn].append(seconds)

    def count_connection_failure(self, target_group_arn: str, status: int) -> None:
        """Count a chosen target that could not be reached, or took too long."""
        with self._lock:
            self._counts.by_group[target_group_arn].update({"RequestCount": 1, "TargetConnectionErrorCount": 1})
        self.count_load_balancer_error(status)

    def count_load_balancer_error(self, status: int) -> None:
        """Count an error of the load balancer itself."""
        with self._lock:
            self._counts.own.update({"HTTPCode_ELB_5XX_Count": 1, f"HTTPCode_ELB_{status}_Count": 1})

    def take(self) -> Counts:
        """Return the counts since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
            return counts


def dimension_of(arn: str) -> str:
    """Return a dimension's value as AWS writes it: ``app/name/id`` or ``targetgroup/name/id``."""
    resource = arn.split(":", 5)[5]
    return resource.removeprefix("loadbalancer/")


def publish(load_balancer_arn: str, target_group_arns: set[str], counts: Counts) -> None:
    """Put one interval's metrics into moto's CloudWatch, those of each node separately."""
    balancer = {"Name": "LoadBalancer", "Value": dimension_of(load_balancer_arn)}
    nodes = nodes_of(load_balancer_arn)
    data: list[dict[str, Any]] = list(_count_data(counts.own, [balancer], len(nodes)))
    for arn in target_group_arns | set(counts.by_group):
        group = {"Name": "TargetGroup", "Value": dimension_of(arn)}
        host_states = [states for node in nodes if (states := node.observe(arn)) is not None]
        for dimensions in ([balancer], [group, balancer]):
            data += _count_data(counts.by_group.get(arn, Counter()), dimensions, len(nodes))
            for seconds in distribute_values(counts.response_seconds.get(arn, []), len(nodes)):
                data.append(
                    {"MetricName": "TargetResponseTime", "Dimensions": dimensions, "Values": seconds, "Unit": "Seconds"}
                )
        for states in host_states:
            data += _host_counts(states, [group, balancer])
    if data:
        _, _, _, region, account, _ = load_balancer_arn.split(":", 5)
        cloudwatch_backends[account][region].put_metric_data(NAMESPACE, data)


def _count_data(counter: Counter[str], dimensions: list[dict[str, str]], nodes: int) -> Iterator[dict[str, Any]]:
    for name, count in counter.items():
        for share in split_count(count, nodes):
            yield {"MetricName": name, "Dimensions": dimensions, "Value": float(share), "Unit": "Count"}


def _host_counts(states: Counter[str], dimensions: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {"MetricName": name, "Dimensions": dimensions, "Value": float(value), "Unit": "Count"}
        for name, value in (
            ("HealthyHostCount", states["healthy"]),
            ("UnHealthyHostCount", states["unhealthy"] + states["initial"]),
        )
    ]
