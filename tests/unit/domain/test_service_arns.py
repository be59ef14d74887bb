"""ECS's old ARN format names a service without its cluster: `service/express-api`."""

import pytest

from rollback.domain.event import find_service_of_arn
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.errors import InvalidRequest

ARN = "arn:aws:ecs:eu-west-1:123456789012:service"


def settings(*clusters: str) -> Settings:
    services = tuple(
        ServiceSettings(name=f"api-{cluster}", cluster=cluster, ecs_service="api", container="app")
        for cluster in clusters
    )
    return Settings(application="macro-ai", environment="production", services=services)


def test_an_old_arn_means_the_only_service_of_its_name() -> None:
    assert find_service_of_arn(f"{ARN}/api", settings("one")) == "api-one"


def test_an_old_arn_that_fits_two_services_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"may be api-one or api-two.*serviceLongArn"):
        find_service_of_arn(f"{ARN}/api", settings("one", "two"))


def test_a_new_arn_distinguishes_two_services_of_one_name() -> None:
    assert find_service_of_arn(f"{ARN}/two/api", settings("one", "two")) == "api-two"
