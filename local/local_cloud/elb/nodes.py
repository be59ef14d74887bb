"""The nodes of a load balancer: each checks the targets by itself, and publishes what it sees.

"The Minimum and Maximum statistics reflect the minimum and maximum reported by the individual load balancer nodes";
host counts are "reported if there are registered targets" (ELB user guide, "CloudWatch metrics for your Application
Load Balancer"). A node that has just come has checked nothing yet: it sees no healthy target.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque

from local_cloud.elb import target_health

NODES = 3  # one in each zone of a usual load balancer
_lock = threading.Lock()
_nodes: dict[str, list[Node]] = {}


class Node:
    """One node; it learns of a change of a target's health `lag` rounds of metrics later than the first one does."""

    def __init__(self, lag: int) -> None:
        self._lag = lag
        self._seen: dict[str, deque[Counter[str]]] = {}

    def observe(self, target_group_arn: str) -> Counter[str] | None:
        """Targets by state, as this node sees them now; None: none is registered, and nothing is published."""
        registered = [t.state for t in target_health.targets_of(target_group_arn) if t.state != "draining"]
        seen = self._seen.setdefault(target_group_arn, deque([Counter()], maxlen=self._lag + 1))
        if not registered:
            return None
        seen.append(Counter(registered))
        return seen[0]


def nodes_of(load_balancer_arn: str) -> list[Node]:
    """The nodes of a load balancer; the first three come with it."""
    with _lock:
        if load_balancer_arn not in _nodes:
            _nodes[load_balancer_arn] = [Node(lag) for lag in range(NODES)]
        return list(_nodes[load_balancer_arn])


def add_node(load_balancer_arn: str) -> None:
    """Let the load balancer grow, as it does under load."""
    nodes = nodes_of(load_balancer_arn)
    with _lock:
        _nodes[load_balancer_arn] = [*nodes, Node(NODES)]


def split_count(count: int, nodes: int) -> list[int]:
    """Requests as they are spread over the nodes; some nodes get none of a few."""
    return [part for part in (count // nodes + (place < count % nodes) for place in range(nodes)) if part]


def distribute_values(values: list[float], nodes: int) -> list[list[float]]:
    """Measurements as they are spread over the nodes."""
    return [part for part in (list(itertools.islice(values, place, None, nodes)) for place in range(nodes)) if part]


def forget() -> None:
    """Forget all nodes."""
    with _lock:
        _nodes.clear()
