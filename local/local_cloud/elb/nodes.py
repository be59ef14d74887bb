"""Nodes of a load balancer: each checks the targets and publishes its own counts.

"The Minimum and Maximum statistics reflect the minimum and maximum reported by the individual load balancer nodes".
Host counts are "reported if there are registered targets". Source: ELB user guide, "CloudWatch metrics for your
Application Load Balancer". A new node has checked no target yet, so it reports no healthy one.
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
    """A node that notices a change of a target's health `lag` rounds of metrics later than the first node."""

    def __init__(self, lag: int) -> None:
        self._lag = lag
        self._states: dict[str, deque[Counter[str]]] = {}

    def observe(self, target_group_arn: str) -> Counter[str] | None:
        """Return the targets by state as this node sees them; None if none is registered, so none is published."""
        registered = [t.state for t in target_health.targets_of(target_group_arn) if t.state != "draining"]
        states = self._states.setdefault(target_group_arn, deque([Counter()], maxlen=self._lag + 1))
        if not registered:
            return None
        states.append(Counter(registered))
        return states[0]


def nodes_of(load_balancer_arn: str) -> list[Node]:
    """Return the nodes of a load balancer. It starts with three."""
    with _lock:
        if load_balancer_arn not in _nodes:
            _nodes[load_balancer_arn] = [Node(lag) for lag in range(NODES)]
        return list(_nodes[load_balancer_arn])


def add_node(load_balancer_arn: str) -> None:
    """Add a node, as ELB does under load."""
    nodes = nodes_of(load_balancer_arn)
    with _lock:
        _nodes[load_balancer_arn] = [*nodes, Node(NODES)]


def split_count(count: int, nodes: int) -> list[int]:
    """Spread a number of requests over the nodes. Nodes without a request are left out."""
    return [part for part in (count // nodes + (place < count % nodes) for place in range(nodes)) if part]


def distribute_values(values: list[float], nodes: int) -> list[list[float]]:
    """Spread measurements over the nodes. Nodes without a measurement are left out."""
    return [part for part in (list(itertools.islice(values, place, None, nodes)) for place in range(nodes)) if part]


def forget() -> None:
    """Forget all nodes."""
    with _lock:
        _nodes.clear()
