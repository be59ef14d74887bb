"""The alarms of one service, evaluated by the embedded cloud in every reading that CloudWatch's guide leaves open."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from local_cloud.cloudwatch import composite_rules
from local_cloud.cloudwatch.evaluation import evaluate
from local_cloud.cloudwatch.metric_math import Reading, read_as
from local_cloud.cloudwatch.metric_store import MetricKey, Sample, statistic_of
from rollback.names import (
    MAX_TARGET_GROUPS,
    RATE_ALARMS,
    STATE_ALARMS,
    degraded_alarm,
    leaf_alarms,
    outage_alarm,
)

PREFIX, SERVICE = "shop-production", "api"
READINGS = [Reading(fills, zero) for fills, zero in itertools.product((True, False), repeat=2)]
COUNTS = range(1, MAX_TARGET_GROUPS + 1)
MINUTES = 6


@functools.cache
def alarms_of(groups: int, *, shared: bool) -> dict[str, dict[str, Any]]:
    """Return the properties of the alarms of a service with this many target groups, by name."""
    from aws_cdk import App, Stack  # noqa: PLC0415 - this import starts Node, which needs the PATH that conftest sets

    from rollback_constructs.alarms.service_alarms import AlarmSettings, ServiceAlarms  # noqa: PLC0415
    from rollback_constructs.attachment import Attachment  # noqa: PLC0415

    app = App(analytics_reporting=False, tree_metadata=False)
    stack = Stack(app, "Alarms")
    service = Attachment(
        name=SERVICE,
        cluster="shop",
        ecs_service="api",
        load_balancer="app/shop/1",
        target_groups=tuple(f"targetgroup/g{number}/1" for number in range(groups)),
        task_role_arns=(),
        execution_role_arns=(),
        log_group="/shop/api",
        repository="api",
        load_balancer_shared=shared,
    )
    ServiceAlarms(stack, "Service", prefix=PREFIX, environment="production", service=service, settings=AlarmSettings())
    resources = app.synth().get_stack_by_name("Alarms").template["Resources"]
    kinds = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
    return {
        resource["Properties"]["AlarmName"]: {**resource["Properties"], "id": name}
        for name, resource in resources.items()
        if resource["Type"] in kinds
    }


@dataclass
class Minutes:
    """Samples of metrics by minute, the newest last; a metric without samples never had a data point."""

    samples: dict[MetricKey, list[list[Sample]]] = field(default_factory=dict)

    def put(self, name: str, *values: float, group: int | None = None, minutes: range = range(MINUTES)) -> None:
        """Add values of a metric to each of these minutes, one value for each node of the load balancer."""
        dimensions = {"LoadBalancer": "app/shop/1"}
        if group is not None:
            dimensions["TargetGroup"] = f"targetgroup/g{group}/1"
        key = ("AWS/ApplicationELB", name, tuple(sorted(dimensions.items())))
        rows = self.samples.setdefault(key, [[] for _ in range(MINUTES)])
        for minute in minutes:
            rows[minute] += [Sample(0, value, 1, value, value) for value in values]

    def serve(self, requests: float, failed: float = 0, group: int = 0) -> None:
        """Add requests that reached a target, as ELB counts them: by load balancer, and by target group."""
        for dimension in (None, group):
            self.put("RequestCount", requests, group=dimension)
            if failed:
                self.put("HTTPCode_Target_5XX_Count", failed, group=dimension)

    def points(self, key: MetricKey, statistic: str, period_seconds: float, count: int, now: float) -> list[Any]:
        """Return data points, newest first, as `MetricStore.points` does."""
        assert (period_seconds, now) == (60, 0)
        rows = self.samples.get(key, [[] for _ in range(MINUTES)])
        return [statistic_of(row, statistic) for row in list(reversed(rows))[:count]]


def in_alarm(minutes: Minutes, groups: int = 1, *, shared: bool = False) -> set[str]:
    """Return the alarms in ALARM, without the service's name before them."""
    alarms = alarms_of(groups, shared=shared)
    states = {name: _state(properties, minutes) for name, properties in alarms.items() if "AlarmRule" not in properties}
    by_id = {properties["id"]: states[name] for name, properties in alarms.items() if name in states}
    for name, properties in alarms.items():
        if "AlarmRule" in properties:
            states[name] = "ALARM" if composite_rules.parse(_rule(properties)).holds(by_id.__getitem__) else "OK"
    return {name.removeprefix(f"{PREFIX}-{SERVICE}-") for name, state in states.items() if state == "ALARM"}


def _rule(properties: dict[str, Any]) -> str:
    """Return the alarm rule with logical ids in place of ARNs."""
    parts = properties["AlarmRule"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else part["Fn::GetAtt"][0] for part in parts)


def _state(properties: dict[str, Any], minutes: Minutes) -> str:
    queries = [_query(query) for query in properties.get("Metrics", ())]
    alarm = SimpleNamespace(
        namespace=properties.get("Namespace"),
        metric_name=properties.get("MetricName"),
        dimensions=_dimensions(properties),
        statistic=properties.get("Statistic"),
        extended_statistic=properties.get("ExtendedStatistic"),
        period=properties.get("Period", 60),
        evaluation_periods=properties["EvaluationPeriods"],
        datapoints_to_alarm=properties["DatapointsToAlarm"],
        threshold=properties["Threshold"],
        comparison_operator=properties["ComparisonOperator"],
        treat_missing_data=properties["TreatMissingData"],
        metric_data_queries=queries,
    )
    return evaluate(alarm, minutes, 0).state or "kept"  # type: ignore[arg-type]


def _query(query: dict[str, Any]) -> SimpleNamespace:
    stat = query.get("MetricStat")
    metric = stat and SimpleNamespace(
        namespace=stat["Metric"]["Namespace"],
        metric_name=stat["Metric"]["MetricName"],
        dimensions=_dimensions(stat["Metric"]),
    )
    return SimpleNamespace(
        id=query["Id"],
        expression=query.get("Expression"),
        return_data=query.get("ReturnData"),
        metric_stat=stat and SimpleNamespace(metric=metric, period=stat["Period"], stat=stat["Stat"]),
    )


def _dimensions(properties: dict[str, Any]) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=d["Name"], value=d["Value"]) for d in properties.get("Dimensions", ())]


@pytest.fixture(params=READINGS, ids=str, autouse=True)
def _reading(request: pytest.FixtureRequest) -> Iterator[None]:
    with read_as(request.param):
        yield


def healthy_minutes(groups: int = 1) -> Minutes:
    """Build samples with two healthy targets in each group; three nodes of the load balancer agree."""
    minutes = Minutes()
    for group in range(groups):
        minutes.put("HealthyHostCount", 2, 2, 2, group=group)
        minutes.put("UnHealthyHostCount", 0, 0, 0, group=group)
    return minutes


class TestAnyLoadBalancer:
    @pytest.mark.parametrize("shared", [False, True])
    def test_a_service_that_never_failed_has_no_alarm(self, shared: bool) -> None:
        minutes = healthy_minutes()
        minutes.serve(100)
        assert in_alarm(minutes, shared=shared) == set()

    @pytest.mark.parametrize("shared", [False, True])
    def test_errors_of_targets_fire_degraded_though_the_load_balancer_never_failed(self, shared: bool) -> None:
        minutes = healthy_minutes()
        minutes.serve(100, failed=10)
        assert in_alarm(minutes, shared=shared) == {"error-rate", "degraded"}

    @pytest.mark.parametrize("shared", [False, True])
    def test_few_failing_requests_fire_no_alarm(self, shared: bool) -> None:
        minutes = healthy_minutes()
        minutes.serve(10, failed=10)
        assert in_alarm(minutes, shared=shared) == set()

    def test_rule_11_an_outage_without_any_counted_request_fires_outage(
        self,
    ) -> None:
        minutes = healthy_minutes()
        minutes.put("HTTPCode_ELB_5XX_Count", 100)
        assert {"near-total-errors", "outage"} <= in_alarm(minutes)

    @pytest.mark.parametrize("shared", [False, True])
    def test_slow_responses_fire_degraded(self, shared: bool) -> None:
        minutes = healthy_minutes()
        minutes.serve(100)
        for group in (None, 0):
            minutes.put("TargetResponseTime", 5.0, 6.0, group=group)
        assert in_alarm(minutes, shared=shared) == {"latency", "degraded"}

    @pytest.mark.parametrize("shared", [False, True])
    def test_a_service_without_traffic_has_no_alarm(self, shared: bool) -> None:
        assert in_alarm(healthy_minutes(), shared=shared) == set()


class TestSharedLoadBalancer:
    def test_another_services_outage_fires_no_alarm(self) -> None:
        minutes = healthy_minutes()
        minutes.serve(20)
        minutes.put("HTTPCode_ELB_5XX_Count", 500)  # the requests may be of any service behind the load balancer
        assert in_alarm(minutes, shared=True) == set()
        assert "outage" in in_alarm(minutes, shared=False)

    def test_an_outage_of_the_service_fires_through_its_targets(self) -> None:
        minutes = Minutes()
        minutes.put("HealthyHostCount", 0, 0, 0, group=0)
        minutes.put("HTTPCode_ELB_5XX_Count", 500)
        assert in_alarm(minutes, shared=True) == {"no-healthy-targets", "outage"}

    def test_targets_that_refuse_connections_fire_the_services_alarms(self) -> None:
        minutes = healthy_minutes()
        minutes.serve(100)
        minutes.put("TargetConnectionErrorCount", 100, group=0)
        assert {"error-rate", "near-total-errors", "outage"} <= in_alarm(minutes, shared=True)


class TestNodesOfTheLoadBalancer:
    def test_a_new_node_that_finds_no_healthy_target_is_no_outage(self) -> None:
        minutes = healthy_minutes()
        minutes.put("HealthyHostCount", 0, group=0, minutes=range(MINUTES - 2, MINUTES))
        assert in_alarm(minutes) == set()
        (rows,) = (rows for key, rows in minutes.samples.items() if key[1] == "HealthyHostCount")
        assert statistic_of(rows[-1], "Minimum") == 0  # `Minimum` would have fired

    def test_a_zone_without_targets_is_no_outage(self) -> None:
        minutes = Minutes()
        minutes.put("HealthyHostCount", 2, 0, 0, group=0)
        assert in_alarm(minutes) == set()

    def test_no_healthy_target_at_any_node_is_an_outage(self) -> None:
        minutes = Minutes()
        minutes.put("HealthyHostCount", 0, 0, 0, group=0)
        minutes.put("UnHealthyHostCount", 2, 2, 2, group=0)
        assert in_alarm(minutes) == {"no-healthy-targets", "unhealthy-targets", "degraded", "outage"}

    def test_a_target_that_one_node_finds_unhealthy_fires_no_alarm(self) -> None:
        minutes = healthy_minutes()
        minutes.put("UnHealthyHostCount", 2, group=0)
        assert in_alarm(minutes) == set()

    def test_rule_11_target_groups_without_data_are_an_outage(self) -> None:
        minutes = healthy_minutes()
        for rows in minutes.samples.values():
            rows[-2:] = [[], []]
        assert in_alarm(minutes) == {"no-healthy-targets", "outage"}


class TestSeveralTargetGroups:
    @pytest.mark.parametrize("groups", COUNTS)
    @pytest.mark.parametrize("shared", [False, True])
    def test_no_alarm_has_more_than_ten_metrics_and_the_functions_know_every_leaf(
        self, groups: int, shared: bool
    ) -> None:
        alarms = alarms_of(groups, shared=shared)
        for properties in alarms.values():
            assert sum("MetricStat" in query for query in properties.get("Metrics", ())) <= 10
        leaves = set(leaf_alarms(PREFIX, SERVICE, (*RATE_ALARMS, *STATE_ALARMS)))
        composites = {degraded_alarm(PREFIX, SERVICE), outage_alarm(PREFIX, SERVICE)}
        assert composites < set(alarms) <= leaves | composites

    @pytest.mark.parametrize("groups", COUNTS)
    @pytest.mark.parametrize("shared", [False, True])
    def test_errors_behind_the_last_target_group_fire_both_composites(self, groups: int, shared: bool) -> None:
        minutes = healthy_minutes(groups)
        minutes.serve(100, failed=95, group=groups - 1)
        assert {"degraded", "outage"} <= in_alarm(minutes, groups, shared=shared)

    @pytest.mark.parametrize("groups", COUNTS)
    def test_an_outage_needs_all_target_groups_without_healthy_targets(self, groups: int) -> None:
        minutes = healthy_minutes(groups)
        assert in_alarm(minutes, groups) == set()
        for group in range(groups):
            minutes.samples = {key: rows for key, rows in minutes.samples.items() if f"g{group}/" not in str(key)}
            assert ("outage" in in_alarm(minutes, groups)) is (group == groups - 1)

    def test_a_mistyped_target_group_beside_a_correct_target_group_causes_and_hides_no_outage(self) -> None:
        minutes = healthy_minutes(1)
        assert "outage" not in in_alarm(minutes, 2)
        assert "outage" in in_alarm(Minutes(), 2)
