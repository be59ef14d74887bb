"""Targets of load balancers: their registration, and health checks of the processes behind them.

A target is named by its private address, as on AWS. The process that answers listens on this machine.
"""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, elbv2_backends

from local_cloud import clock

State = Literal["initial", "healthy", "unhealthy", "draining"]
# Real: an accelerated clock must not make a real process time out.
_MIN_PROBE_SECONDS = 1.0
_stock_describe = ELBv2Backend.describe_target_health
_targets: dict[str, list[Target]] = {}
_lock = threading.Lock()


@dataclass(eq=False)
class Target:
    """One registered target of a target group."""

    group: Any  # moto's FakeTargetGroup
    id: str
    port: int
    process_port: int
    state: State = "initial"
    reason: str | None = "Elb.RegistrationInProgress"
    description: str | None = "Target registration is in progress"
    _passed: int = 0
    _failed: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Probe at the group's interval until the target is deregistered."""
        while not self._stopping.is_set():
            failure = self._probe()
            if self._stopping.is_set():
                return
            self._record(failure)
            self._stopping.wait(max(0.01, clock.real_seconds(float(self.group.health_check_interval_seconds))))

    def _probe(self) -> tuple[str, str] | None:
        """Check the health; return reason and description of a failure, or None."""
        timeout = max(_MIN_PROBE_SECONDS, clock.real_seconds(float(self.group.health_check_timeout_seconds)))
        connection = http.client.HTTPConnection("127.0.0.1", self.process_port, timeout=timeout)
        try:
            connection.request("GET", self.group.health_check_path or "/")
            status = connection.getresponse().status
        except TimeoutError:
            return "Target.Timeout", "Request timed out"
        except (OSError, http.client.HTTPException):
            return "Target.FailedHealthChecks", "Health checks failed"
        finally:
            connection.close()
        if _is_expected_status(status, str((self.group.matcher or {}).get("HttpCode", "200"))):
            return None
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"

    def _record(self, failure: tuple[str, str] | None) -> None:
        self._passed, self._failed = (0, self._failed + 1) if failure else (self._passed + 1, 0)
        if self.state == "initial":
            self.reason, self.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
        # A newly registered target is healthy after one passed check (ELB user guide, target group health checks).
        needed = 1 if self.state == "initial" else int(self.group.healthy_threshold_count)
        if failure is None and self._passed >= needed:
            self.state, self.reason, self.description = "healthy", None, None
        elif failure and self._failed >= int(self.group.unhealthy_threshold_count):
            self.state, (self.reason, self.description) = "unhealthy", failure

    def drain(self) -> None:
        """Stop probing, and receive no new requests."""
        self._stopping.set()
        self.state = "draining"
        self.reason, self.description = "Target.DeregistrationInProgress", "Target deregistration is in progress"


def _is_expected_status(status: int, matcher: str) -> bool:
    for part in matcher.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def group_of(target_group_arn: str) -> Any:
    """Return moto's target group.

    Raises:
        TargetGroupNotFoundError: the target group does not exist.
    """
    _, _, _, region, account, _ = target_group_arn.split(":", 5)
    group = elbv2_backends[account][region].target_groups.get(target_group_arn)
    if group is None:
        raise TargetGroupNotFoundError
    return group


def deregistration_delay_seconds(target_group_arn: str) -> float:
    """Return the simulated seconds that a deregistered target keeps running."""
    return float(group_of(target_group_arn).attributes.get("deregistration_delay.timeout_seconds", 300))


def register(target_group_arn: str, target_id: str, port: int, process_port: int) -> Target:
    """Register a target, and begin its health checks."""
    target = Target(group_of(target_group_arn), target_id, port, process_port)
    with _lock:
        _targets.setdefault(target_group_arn, []).append(target)
    threading.Thread(target=target.watch, name=f"health of {target_id}", daemon=True).start()
    return target


def remove(target: Target) -> None:
    """Forget a target that has drained."""
    target.drain()
    with _lock:
        registered = _targets.get(target.group.arn, [])
        if target in registered:
            registered.remove(target)


def targets_of(target_group_arn: str) -> list[Target]:
    """Return the registered and the draining targets."""
    with _lock:
        return list(_targets.get(target_group_arn, []))


def routable(target_group_arn: str) -> list[Target]:
    """Return the targets that receive requests: the healthy ones, else all unhealthy ones (ELB fails open)."""
    targets = targets_of(target_group_arn)
    healthy = [target for target in targets if target.state == "healthy"]
    return healthy or [target for target in targets if target.state == "unhealthy"]


class RoundRobin:
    """Chooses the routable targets of each group in turn."""

    def __init__(self) -> None:
        self._turns: dict[str, Iterator[int]] = {}

    def next_target(self, target_group_arn: str) -> Target | None:
        """Return the target of the next request; None if the group has no routable target."""
        candidates = routable(target_group_arn)
        turn = next(self._turns.setdefault(target_group_arn, itertools.count()))
        return candidates[turn % len(candidates)] if candidates else None


def _describe(backend: Any, target_group_arn: str, targets: list[dict[str, Any]]) -> list[Any]:
    simulated = targets_of(target_group_arn)
    simulated_ids = {target.id for target in simulated}
    others = [target for target in targets or [] if target["Id"] not in simulated_ids]
    # moto takes an empty selection for all targets
    stock = _stock_describe(backend, target_group_arn, others) if others or not targets else []
    requested = {(t["Id"], int(t["Port"]) if "Port" in t else None) for t in targets or []}
    answers = [
        FakeHealthStatus(t.id, str(t.port), str(t.port), t.state, t.reason, t.description)
        for t in simulated
        if not targets or (t.id, t.port) in requested or (t.id, None) in requested
    ]
    return answers + list(stock)


def install() -> None:
    """Let DescribeTargetHealth include the targets that the ECS simulation registers."""
    ELBv2Backend.describe_target_health = _describe


def stop() -> None:
    """End all health checks, and forget all targets."""
    with _lock:
        for target in itertools.chain.from_iterable(_targets.values()):
            target.drain()
        _targets.clear()
