"""`rollback init` by boto3 on the embedded cloud: its answers come in pages, and have AWS's own spelling."""

import pytest
from contract.local_cloud.workload import Workload

from local_cloud.deployment.server import LocalCloud
from rollback.errors import InvalidRequest
from rollback_cli.attach.description.section import describe
from rollback_cli.attach.found import Found
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName
from rollback_cli.attach.reading import Reader
from rollback_cli.doctor.aws_api import BotoApi


@pytest.fixture
def reader(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Reader:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    return Reader(BotoApi())


def find(workload: Workload, reader: Reader) -> Found:
    found = look_up(reader, ServiceName(workload.name, workload.name))
    assert found.unread == ()
    return found


def test_a_service_with_its_load_balancer_rules_and_revisions_is_found(cloud: LocalCloud, reader: Reader) -> None:
    workload = Workload(cloud)
    workload.push("v1")
    for _ in range(3):
        definition = workload.register("v1")
    workload.create(definition, desired=0)
    (listener,) = workload.elbv2.describe_listeners(LoadBalancerArn=workload.load_balancer)["Listeners"]
    for priority in (9, 10, 11):
        workload.elbv2.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [f"shop-{priority}.example.com"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": workload.target_group}],
        )

    found = find(workload, reader)

    assert found.definition.revision_count == 3
    (balancer,) = found.balancers
    assert balancer.listeners is not None
    assert [rule.hosts for rule in balancer.listeners[0].rules] == [
        ("shop-9.example.com",), ("shop-10.example.com",), ("shop-11.example.com",), (),
    ]  # fmt: skip
    settings = describe(found, "web").service
    assert settings["base_url"] == "http://shop-9.example.com"
    assert settings["endpoints"] == [{"path": "/health"}]
    assert settings["load_balancer_shared"] is False
    assert settings["existing"]["repository"] == workload.name


def test_scaling_and_the_services_that_share_are_found_on_every_page(cloud: LocalCloud, reader: Reader) -> None:
    workload = Workload(cloud, balanced=False)
    definition = workload.release("v1")
    workload.create(definition, desired=0)
    others = [f"other-{number}" for number in range(12)]
    for name in others:
        workload.create(definition, desired=0, serviceName=name)
    cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs", ScalableDimension="ecs:service:DesiredCount", MinCapacity=1, MaxCapacity=4,
        ResourceId=f"service/{workload.name}/{workload.name}",
    )  # fmt: skip

    found = find(workload, reader)

    assert found.sharing is not None
    assert sorted(found.sharing.family) == sorted(others)
    assert found.scaling is not None
    assert (found.scaling.min_capacity, found.scaling.max_capacity) == (1, 4)
    assert found.is_worker
    assert found.has_insights is False


def test_an_unknown_cluster_and_an_unknown_service_are_told(cloud: LocalCloud, reader: Reader) -> None:
    workload = Workload(cloud, balanced=False)
    with pytest.raises(InvalidRequest, match="ECS has no cluster 'no-such-cluster'"):
        look_up(reader, ServiceName("no-such-cluster", "web"))
    with pytest.raises(InvalidRequest, match="has no active service 'web'"):
        look_up(reader, ServiceName(workload.name, "web"))
