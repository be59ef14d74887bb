"""Describe calls that answer from before the last write: our adapters bear each order of these answers."""

from collections.abc import Iterator

import pytest
from contract.local_cloud.workload import Workload
from contract.real_ports import real_ports

from local_cloud.deployment.server import LocalCloud
from local_cloud.faults import lag
from rollback.domain.settings.environment import ServiceSettings
from rollback.ports.aws.ecs import Services

VIEWS = ("DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments")


@pytest.fixture
def web(cloud: LocalCloud) -> Iterator[Workload]:
    workload = Workload(cloud, balanced=False)
    workload.start_and_wait(workload.release("one"), desired=1)
    yield workload
    lag.forget()
    workload.ecs.delete_service(cluster=workload.name, service=workload.name, force=True)


@pytest.fixture
def services(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Services:
    return real_ports(cloud, monkeypatch).services


def settings(web: Workload) -> ServiceSettings:
    return ServiceSettings(
        name="web", cluster=web.name, ecs_service=web.name, container="app", base_url="http://localhost"
    )


def test_a_lagging_answer_is_the_earlier_answer_and_the_lag_ends(web: Workload) -> None:
    lag.watch("ecs", "DescribeServices")
    original_definition = web.describe()["taskDefinition"]
    web.update(taskDefinition=web.release("two"))
    lag.inject("ecs", "DescribeServices", 2)
    assert [web.describe()["taskDefinition"] == original_definition for _ in range(3)] == [True, True, False]


def test_a_call_without_an_earlier_answer_can_not_lag(web: Workload) -> None:
    lag.watch("ecs", "DescribeServices")
    new = web.release("two")
    web.update(taskDefinition=new)
    lag.inject("ecs", "DescribeServices", 1)
    assert web.describe()["taskDefinition"] == new
    with pytest.raises(LookupError):
        lag.inject("ecs", "ListTasks", 1)


@pytest.mark.parametrize("view", VIEWS)
def test_a_service_is_described_whichever_of_its_views_lags(web: Workload, services: Services, view: str) -> None:
    """One answer may mix a new PRIMARY with the earlier deployment, or the reverse. The next answer is consistent."""
    for other_view in VIEWS:
        lag.watch("ecs", other_view)
    web_settings = settings(web)
    earlier = services.describe(web_settings)
    new = web.release("two")
    web.update(taskDefinition=new)
    lag.inject("ecs", view, 1)
    torn = services.describe(web_settings)
    assert torn.deployments
    settled = services.describe(web_settings)
    assert settled.newest is not None
    assert earlier.newest is not None
    assert settled.newest.target_definition_arn == new
    assert settled.newest.arn != earlier.newest.arn
