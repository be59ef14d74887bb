"""The load balancer's proxy, target health and metrics, and the load generator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract.local_cloud.workload import UNHEALTHY, Workload, eventually

from local_cloud.elb.load import LoadGenerator
from local_cloud.elb.load_balancer import base_url
from local_cloud.elb.nodes import NODES, add_node, distribute_values, split_count
from local_cloud.elb.target_health import targets_of
from local_cloud.listing import list_all


@pytest.fixture
def web(cloud: Any) -> Iterator[Workload]:
    """A service behind a load balancer, deleted afterwards."""
    workload = Workload(cloud)
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


def _dimensions(web: Workload, *, with_group: bool) -> list[dict[str, str]]:
    balancer = {"Name": "LoadBalancer", "Value": web.load_balancer.split(":loadbalancer/")[1]}
    group = {"Name": "TargetGroup", "Value": web.target_group.split(":")[5]}
    return [balancer, group] if with_group else [balancer]


def _statistic(
    cloud: Any, name: str, dimensions: list[dict[str, str]], statistic: str = "Sum", *, namespace: str = ""
) -> float | None:
    now = datetime.now(UTC)
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace or "AWS/ApplicationELB", MetricName=name, Dimensions=dimensions, Statistics=[statistic],
        StartTime=now - timedelta(minutes=10), EndTime=now + timedelta(minutes=1), Period=3600,
    )["Datapoints"]  # fmt: skip
    return float(points[0][statistic]) if points else None


def test_requests_are_spread_over_the_healthy_targets(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    with LoadGenerator(web.url, 100, ["/api/status", "/api/ping"]) as load:
        eventually(lambda: load.served >= 20)
    assert load.failed == 0
    assert set(load.by_version) == {"v1"}
    assert sum(second.served for second in load.timeline) == load.served


def test_a_load_balancer_without_targets_answers_503(cloud: Any, web: Workload) -> None:
    with LoadGenerator(web.url, 100) as load:
        eventually(lambda: load.failed >= 5)
    own = _dimensions(web, with_group=False)
    eventually(lambda: _statistic(cloud, "HTTPCode_ELB_5XX_Count", own) == load.failed)
    assert _statistic(cloud, "HTTPCode_ELB_503_Count", own) == load.failed
    assert _statistic(cloud, "RequestCount", own) is None


def test_a_dead_target_answers_502_until_it_is_replaced(cloud: Any, web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=1)
    targets_of(web.target_group)[0].process_port = 1  # no process listens on this port
    with LoadGenerator(web.url, 200) as load:
        eventually(lambda: load.failed >= 1)
        eventually(lambda: load.served >= 1)
    assert _statistic_reached(cloud, web, "HTTPCode_ELB_502_Count")


def _statistic_reached(cloud: Any, web: Workload, name: str) -> float | None:
    return eventually(lambda: _statistic(cloud, name, _dimensions(web, with_group=False)))


@pytest.mark.parametrize("with_group", [False, True])
def test_requests_errors_and_latency_are_published(cloud: Any, web: Workload, with_group: bool) -> None:
    web.start_and_wait(web.release("v1", {"kind": "errors", "rate": 0.5}), desired=1)
    with LoadGenerator(web.url, 100) as load:
        eventually(lambda: load.failed >= 10)
    dimensions = _dimensions(web, with_group=with_group)
    request_count = load.served + load.failed
    eventually(lambda: _statistic(cloud, "RequestCount", dimensions) == request_count)
    assert _statistic(cloud, "HTTPCode_Target_5XX_Count", dimensions) == load.failed
    assert _statistic(cloud, "HTTPCode_Target_2XX_Count", dimensions) == load.served
    assert _statistic(cloud, "TargetResponseTime", dimensions, "SampleCount") == request_count
    if with_group:
        assert eventually(lambda: _statistic(cloud, "HealthyHostCount", dimensions, "Maximum")) == 1
    else:  # host counts need the dimension TargetGroup (ELB user guide, CloudWatch metrics)
        assert _statistic(cloud, "HealthyHostCount", dimensions, "Maximum") is None


def test_each_node_publishes_its_own_counts_and_a_new_node_publishes_no_healthy_target(
    cloud: Any, web: Workload
) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    dimensions = _dimensions(web, with_group=True)

    def latest(statistic: str) -> float | None:
        now = datetime.now(UTC)
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB", MetricName="HealthyHostCount", Dimensions=dimensions,
            Statistics=[statistic], StartTime=now - timedelta(seconds=1), EndTime=now, Period=1,
        )["Datapoints"]  # fmt: skip
        return float(points[-1][statistic]) if points else None

    eventually(lambda: latest("Minimum") == 2)
    assert latest("SampleCount") is not None
    assert (latest("SampleCount") or 0) >= NODES
    add_node(web.load_balancer)
    eventually(lambda: latest("Minimum") == 0)
    assert latest("Maximum") == 2  # the older nodes see both targets
    eventually(lambda: latest("Minimum") == 2)


@pytest.mark.parametrize("reverse", [False, True])
def test_get_metric_data_finds_a_metric_whatever_the_order_of_its_dimensions(
    cloud: Any, web: Workload, reverse: bool
) -> None:
    web.start_and_wait(web.release("v1"), desired=1)
    dimensions = sorted(_dimensions(web, with_group=True), key=lambda d: d["Name"], reverse=reverse)
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "HealthyHostCount", "Dimensions": dimensions}

    def values() -> list[float]:
        now = datetime.now(UTC)
        answer = cloud.client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Maximum"}}],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
        )  # fmt: skip
        values: list[float] = answer["MetricDataResults"][0]["Values"]
        return values

    assert eventually(lambda: 1.0 in values())


@pytest.mark.parametrize(("statistic", "value"), [("p95", 95.0), ("p50", 50.0), ("p100", 100.0), ("p0", 1.0)])
def test_get_metric_data_answers_a_percentile(cloud: Any, statistic: str, value: float) -> None:
    client, now = cloud.client("cloudwatch"), datetime.now(UTC)
    data = [{"MetricName": statistic, "Values": [float(number) for number in range(1, 101)]}]
    client.put_metric_data(Namespace="percentiles", MetricData=data)
    metric = {"Namespace": "percentiles", "MetricName": statistic}
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 7200, "Stat": statistic}}
    answer = client.get_metric_data(
        MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1)
    )
    assert answer["MetricDataResults"][0]["Values"] == [value]


def test_a_target_group_without_a_registered_target_publishes_no_host_counts(cloud: Any, web: Workload) -> None:
    with LoadGenerator(web.url, 50) as load:
        eventually(lambda: load.failed >= 3)
    assert _statistic(cloud, "HealthyHostCount", _dimensions(web, with_group=True), "Maximum") is None


def test_the_shares_of_all_nodes_add_up() -> None:
    assert split_count(2, 3) == [1, 1]
    assert split_count(10, 3) == [4, 3, 3]
    assert sorted(value for part in distribute_values([1.0, 2.0, 3.0, 4.0], 3) for value in part) == [
        1.0,
        2.0,
        3.0,
        4.0,
    ]


def test_a_slow_target_raises_the_response_time(cloud: Any, web: Workload) -> None:
    web.start_and_wait(web.release("v1", {"kind": "slow", "seconds": 0.4}), desired=1)
    with LoadGenerator(web.url, 20) as load:
        eventually(lambda: load.served >= 3)
    dimensions = _dimensions(web, with_group=True)
    assert (eventually(lambda: _statistic(cloud, "TargetResponseTime", dimensions, "Minimum")) or 0) >= 0.4


def test_an_unhealthy_target_has_a_reason(web: Workload) -> None:
    web.create(web.release("v1", UNHEALTHY), desired=1, healthCheckGracePeriodSeconds=600)

    def unhealthy() -> list[dict[str, Any]]:
        health = web.elbv2.describe_target_health(TargetGroupArn=web.target_group)["TargetHealthDescriptions"]
        return [target for target in health if target["TargetHealth"]["State"] == "unhealthy"]

    (target,) = eventually(unhealthy)
    assert target["TargetHealth"]["Reason"] == "Target.ResponseCodeMismatch"
    assert target["TargetHealth"]["Description"] == "Health checks failed with these codes: [500]"
    assert target["Target"]["Port"] == 8080
    assert web.describe()["runningCount"] == 1  # the grace period keeps the unhealthy task


def test_a_replaced_task_drains_without_failing_a_request(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    second = web.release("v2")
    with LoadGenerator(web.url, 100) as load:
        eventually(lambda: load.by_version["v1"] > 0)
        web.update(taskDefinition=second)
        web.wait_for("COMPLETED", second)
        eventually(lambda: load.by_version["v2"] > 0)
    assert load.failed == 0


def test_running_and_desired_tasks_are_published_as_container_insights(cloud: Any, web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    dimensions = [{"Name": "ClusterName", "Value": web.name}, {"Name": "ServiceName", "Value": web.name}]

    def maximum(name: str) -> float | None:
        return _statistic(cloud, name, dimensions, "Maximum", namespace="ECS/ContainerInsights")

    eventually(lambda: maximum("RunningTaskCount") == 2)
    assert maximum("DesiredTaskCount") == 2


def test_a_load_generator_keeps_its_rate(web: Workload) -> None:
    started = time.monotonic()
    with LoadGenerator(web.url, 50) as load:
        time.sleep(1.0)
    elapsed = time.monotonic() - started
    assert 0.6 * 50 * elapsed <= load.served + load.failed <= 50 * elapsed + 1


def test_a_load_balancer_without_a_listener_has_no_address(web: Workload) -> None:
    answer = web.elbv2.create_load_balancer(Name=f"{web.name}-b", Subnets=web.subnets)
    with pytest.raises(LookupError, match="no listener"):
        base_url(answer["LoadBalancers"][0]["LoadBalancerArn"])
