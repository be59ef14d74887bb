"""Services that this product can't roll back are refused, with the way to roll back without it."""

from typing import Any

import pytest
from fakes.running_service import FakeRunningService

from rollback.errors import CallRefused, InvalidRequest
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName
from rollback_cli.attach.reading import Reader


def refusal(aws: FakeRunningService, cluster: str = "shop-live", service: str = "Checkout_API") -> str:
    with pytest.raises(InvalidRequest) as refused:
        look_up(Reader(aws), ServiceName(cluster, service))
    return str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("schedulingStrategy", "DAEMON", "use a service with REPLICA"),
        ("deploymentController", {"type": "CODE_DEPLOY"}, "use CodeDeploy's own rollback"),
        ("deploymentController", {"type": "EXTERNAL"}, "use that tool's rollback"),
        ("deploymentController", {"type": "NEW_KIND"}, "has the deploymentController NEW_KIND"),
        ("deploymentConfiguration", {"strategy": "BLUE_GREEN"}, "use ECS's rollback, or set the strategy ROLLING"),
    ],
)
def test_a_service_that_is_deployed_otherwise_is_refused(setting: str, value: Any, text: str) -> None:
    aws = FakeRunningService()
    aws.service[setting] = value
    assert text in refusal(aws)


def test_an_unknown_cluster_is_told_with_those_that_exist() -> None:
    assert "there are shop-live; check --cluster" in refusal(FakeRunningService(), cluster="shop-life")


def test_an_unknown_service_is_told_with_those_of_the_cluster() -> None:
    assert "there are Checkout_API; check --service" in refusal(FakeRunningService(), service="checkout")


def test_a_deleted_service_is_no_service() -> None:
    aws = FakeRunningService()
    aws.service["status"] = "INACTIVE"
    assert "no active service" in refusal(aws)


@pytest.mark.parametrize("operation", ["DescribeServices", "DescribeTaskDefinition"])
def test_without_the_service_itself_there_is_nothing_to_describe(operation: str) -> None:
    aws = FakeRunningService()
    aws.denied.add(operation)
    with pytest.raises(CallRefused):
        look_up(Reader(aws), ServiceName("shop-live", "Checkout_API"))
