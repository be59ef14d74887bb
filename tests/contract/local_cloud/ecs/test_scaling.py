"""Application Auto Scaling of an ECS service.

Rule 2 relies on this: scaling is suspended before the desired count becomes 0.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from contract.local_cloud.workload import Workload, eventually

ON_SERVICES: dict[str, Any] = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
NONE_SUSPENDED = dict.fromkeys(FLAGS, False)


class Scaled:
    """A service without a load balancer, and its scalable target."""

    def __init__(self, cloud: Any) -> None:
        self.worker = Workload(cloud, balanced=False)
        self.api = cloud.client("application-autoscaling")
        self.worker.start_and_wait(self.worker.release("v1"), desired=1)

    def register(self, **settings: Any) -> None:
        self.api.register_scalable_target(**ON_SERVICES, ResourceId=self.resource, **settings)

    def described(self) -> dict[str, Any]:
        targets = self.api.describe_scalable_targets(**ON_SERVICES, ResourceIds=[self.resource])
        return dict(targets["ScalableTargets"][0])

    @property
    def resource(self) -> str:
        return f"service/{self.worker.name}/{self.worker.name}"

    @property
    def desired(self) -> int:
        return int(self.worker.describe()["desiredCount"])


@pytest.fixture
def scaled(cloud: Any) -> Iterator[Scaled]:
    service = Scaled(cloud)
    yield service
    service.api.deregister_scalable_target(**ON_SERVICES, ResourceId=service.resource)
    service.worker.delete()


def test_a_scalable_target_shows_what_is_suspended_and_suspends_nothing_by_default(scaled: Scaled) -> None:
    scaled.register(MinCapacity=1, MaxCapacity=4)
    assert scaled.described()["SuspendedState"] == NONE_SUSPENDED
    suspended = dict.fromkeys(FLAGS, True)
    scaled.register(MinCapacity=1, MaxCapacity=4, SuspendedState=suspended)
    assert scaled.described()["SuspendedState"] == suspended
    scaled.register(MaxCapacity=5)
    target = scaled.described()
    assert (target["SuspendedState"], target["MinCapacity"], target["MaxCapacity"]) == (suspended, 1, 5)


def test_any_registration_brings_the_desired_count_into_the_bounds(scaled: Scaled) -> None:
    scaled.register(MinCapacity=2, MaxCapacity=3)
    assert scaled.desired == 2
    eventually(lambda: scaled.worker.describe()["runningCount"] == 2)
    scaled.worker.update(desiredCount=5)
    scaled.register(MinCapacity=2, MaxCapacity=3)
    assert scaled.desired == 3


def test_a_registration_that_only_suspends_starts_a_service_at_zero(scaled: Scaled) -> None:
    scaled.register(MinCapacity=2, MaxCapacity=3)
    scaled.worker.update(desiredCount=0)
    scaled.register(SuspendedState=dict.fromkeys(FLAGS, True))
    assert scaled.desired == 2


def test_a_registration_starts_no_deployment(scaled: Scaled) -> None:
    original_count = len(scaled.worker.service_deployments())
    scaled.register(MinCapacity=2, MaxCapacity=3)
    assert len(scaled.worker.service_deployments()) == original_count
