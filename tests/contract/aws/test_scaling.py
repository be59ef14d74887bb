"""Promises of the port to Application Auto Scaling, kept on the fake and on the embedded cloud."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contract.local_cloud.workload import Workload
from contract.real_ports import real_ports
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import CLUSTER, ECS_SERVICE, FakeServices
from support.builders import SERVICE, definition

from rollback.adapters.aws.autoscaling import EcsScaling
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.aws.ecs import Scaling
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget

WEB = ServiceSettings(name=SERVICE, cluster=CLUSTER, ecs_service=ECS_SERVICE, container="app")
AUTOSCALED = ScalableTarget(min_capacity=2, max_capacity=4, suspended=dict.fromkeys(SCALING_FLAGS, False))


Scaled = tuple[Scaling, ServiceSettings, Callable[[], int]]


@pytest.fixture(params=["fake", "cloud"])
def scaled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scaled]:
    """Yield the port, a service with one task, and a function that reads the desired count."""
    if request.param == "fake":
        services = FakeServices()
        services.run(services.register_release(definition("v1"), "web"), desired_count=1)
        yield FakeScaling(services), WEB, lambda: services.desired_count
        return
    cloud = request.getfixturevalue("cloud")
    web = Workload(cloud, balanced=False)
    web.start_and_wait(web.release("v1"), desired=1)
    settings = ServiceSettings(name=SERVICE, cluster=web.name, ecs_service=web.name, container="app")
    ports = real_ports(cloud, monkeypatch, settings)
    yield ports.scaling, settings, lambda: ports.services.describe(settings).desired_count
    web.delete()


def test_a_service_without_auto_scaling_has_no_scalable_target(scaled: Scaled) -> None:
    scaling, service, _ = scaled
    assert scaling.describe(service) is None


def test_a_put_replaces_flags_and_bounds(scaled: Scaled) -> None:
    scaling, service, _ = scaled
    some = {**AUTOSCALED.suspended, "ScheduledScalingSuspended": True}
    for target in (
        AUTOSCALED,
        AUTOSCALED.all_suspended(),
        AUTOSCALED.model_copy(update={"suspended": some}),
        ScalableTarget(min_capacity=0, max_capacity=1, suspended=AUTOSCALED.suspended),
    ):
        scaling.put(service, target)
        assert scaling.describe(service) == target


def test_rule_2_suspended_scaling_is_restored_exactly(scaled: Scaled) -> None:
    scaling, service, _ = scaled
    scaling.put(service, AUTOSCALED)
    original = scaling.describe(service)
    assert original is not None
    assert original.is_active
    scaling.put(service, original.all_suspended())
    suspended = scaling.describe(service)
    assert suspended is not None
    assert not suspended.is_active
    scaling.put(service, original)
    assert scaling.describe(service) == original


def test_rule_2_any_registration_raises_the_desired_count_to_the_minimum(scaled: Scaled) -> None:
    scaling, service, desired_count = scaled
    scaling.put(service, AUTOSCALED.all_suspended())
    assert desired_count() == 2


def test_registering_a_missing_service_for_scaling_is_a_failure(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling = real_ports(request.getfixturevalue("cloud"), monkeypatch).scaling
    with pytest.raises(ExternalServiceError, match="RegisterScalableTarget on service/macro-ai"):
        scaling.put(WEB, AUTOSCALED)


def test_an_omitted_flag_is_off_and_an_unknown_flag_is_refused(scaled: Scaled) -> None:
    scaling, service, _ = scaled
    scaling.put(service, AUTOSCALED.all_suspended())
    scaling.put(service, AUTOSCALED.model_copy(update={"suspended": {"ScheduledScalingSuspended": True}}))
    now = scaling.describe(service)
    assert now is not None
    assert now.suspended == {**AUTOSCALED.suspended, "ScheduledScalingSuspended": True}
    with pytest.raises(CallRefused):
        scaling.put(service, AUTOSCALED.model_copy(update={"suspended": {"NoSuchFlag": True}}))
    assert scaling.describe(service) == now


def test_a_missing_service_has_no_scalable_target_and_can_get_none(scaled: Scaled) -> None:
    scaling, service, desired_count = scaled
    scaling.put(service, AUTOSCALED)
    other = service.model_copy(update={"ecs_service": "not-there"})
    assert scaling.describe(other) is None
    with pytest.raises(CallRefused, match=r"RegisterScalableTarget on service/.*/not-there"):
        scaling.put(other, AUTOSCALED.all_suspended())
    assert (scaling.describe(service), desired_count()) == (AUTOSCALED, 2)


@pytest.mark.parametrize(
    "bounds", [{"min_capacity": 5}, {"min_capacity": -1}], ids=["minimum over maximum", "negative"]
)
def test_the_fake_refuses_invalid_bounds(bounds: dict[str, int]) -> None:
    """moto takes them (Application Auto Scaling API reference: an ECS service's minimum is at least 0)."""
    services = FakeServices()
    services.run(services.register_release(definition("v1"), "web"), desired_count=1)
    scaling = FakeScaling(services, AUTOSCALED)
    with pytest.raises(CallRefused, match="RegisterScalableTarget"):
        scaling.put(WEB, AUTOSCALED.model_copy(update=bounds))
    assert (scaling.describe(WEB), services.desired_count) == (AUTOSCALED, 1)


def test_a_service_without_policies_has_no_predictive_policy(scaled: Scaled) -> None:
    scaling, service, _ = scaled
    assert scaling.predictive_policies(service) == ()


def test_policies_that_scale_by_forecast_are_found_on_every_page() -> None:
    """A policy in the mode ForecastOnly, the default, never scales (Application Auto Scaling API reference)."""
    client: Any = boto3.client(
        "application-autoscaling", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as stub:
        stub.add_response("describe_scaling_policies", {"ScalingPolicies": [policy("by-cpu", None)], "NextToken": "2"})
        some = [policy("forecast", "ForecastAndScale"), policy("only", "ForecastOnly"), policy("default", "")]
        stub.add_response("describe_scaling_policies", {"ScalingPolicies": some})
        assert EcsScaling(client, client).predictive_policies(WEB) == ("forecast",)


def policy(name: str, mode: str | None) -> dict[str, Any]:
    """Build a policy; without a mode the policy tracks a target."""
    description: dict[str, Any] = {
        "PolicyARN": f"arn:{name}",
        "PolicyName": name,
        "ServiceNamespace": "ecs",
        "ResourceId": "service/c/s",
        "ScalableDimension": "ecs:service:DesiredCount",
        "PolicyType": "TargetTrackingScaling" if mode is None else "PredictiveScaling",
        "CreationTime": datetime(2026, 3, 1, tzinfo=UTC),
    }
    if mode is not None:
        modes = {"Mode": mode} if mode else {}
        description["PredictiveScalingPolicyConfiguration"] = {"MetricSpecifications": [{"TargetValue": 50.0}], **modes}
    return description
