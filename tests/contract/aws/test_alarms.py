"""Promises of the port to CloudWatch, kept on the fake and on the embedded cloud."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract.local_cloud.workload import Workload, eventually
from contract.real_ports import real_ports
from fakes.aws.alarms import TARGET_GROUP, FakeAlarms

from local_cloud.deployment.server import LocalCloud
from local_cloud.elb.load import LoadGenerator
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.aws.alarms import Alarms


class Watch:
    """Alarms that a test fires and clears: one metric alarm, and a composite of it."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        mark = uuid.uuid4().hex[:8]
        self.leaf, self.composite = f"leaf-{mark}", f"composite-{mark}"
        self.alarms: Alarms
        if request.param == "fake":
            self._fake: FakeAlarms | None = FakeAlarms()
            self._fake.recover(self.leaf)
            self._fake.recover(self.composite)
            self._fake.last_data[self.leaf] = datetime(2026, 1, 1, tzinfo=UTC)
            self.alarms = self._fake
            return
        self._fake = None
        self.namespace = f"of-{mark}"
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._client = cloud.client("cloudwatch")
        self._client.put_metric_alarm(
            AlarmName=self.leaf, Namespace=self.namespace, MetricName="none", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold", Statistic="Sum", TreatMissingData="ignore",
        )  # fmt: skip
        self._client.put_composite_alarm(AlarmName=self.composite, AlarmRule=f'ALARM("{self.leaf}")')
        self.alarms = real_ports(cloud, monkeypatch).alarms
        self.recover()

    def _set(self, state: str) -> None:
        self._client.set_alarm_state(AlarmName=self.leaf, StateValue=state, StateReason="test")
        eventually(lambda: self.alarms.states((self.composite,)).get(self.composite) == state)

    def fire(self) -> None:
        if self._fake is None:
            self._set("ALARM")
            return
        for name in (self.leaf, self.composite):
            self._fake.fire(name, datetime.now(UTC))

    def speak(self) -> None:
        """Put a data point of the leaf's metric."""
        if self._fake is not None:
            self._fake.last_data[self.leaf] = datetime.now(UTC)
            return
        self._client.put_metric_data(Namespace=self.namespace, MetricData=[{"MetricName": "none", "Value": 1}])

    def mute(self, name: str) -> None:
        """Put mute rules `night` (active) and `past` (expired), and one rule for another alarm."""
        if self._fake is not None:
            self._fake.muted[name] = ("night",)
            return
        schedule = {"Schedule": {"Expression": "cron(0 22 * * *)", "Duration": "PT8H"}}
        put = self._client.put_alarm_mute_rule
        put(Name="night", Rule=schedule, MuteTargets={"AlarmNames": [name]})
        put(Name="past", Rule=schedule, MuteTargets={"AlarmNames": [name]}, ExpireDate=datetime(2026, 1, 1, tzinfo=UTC))
        put(Name="another", Rule=schedule, MuteTargets={"AlarmNames": ["another-alarm"]})

    def recover(self) -> None:
        if self._fake is None:
            self._set("OK")
            return
        for name in (self.leaf, self.composite):
            self._fake.recover(name)


@pytest.fixture(params=["fake", "cloud"])
def watch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(request, monkeypatch)


def test_metric_and_composite_alarms_have_a_state_and_unknown_alarms_are_left_out(watch: Watch) -> None:
    names = (watch.leaf, watch.composite, "no-such-alarm")
    assert watch.alarms.states(names) == {watch.leaf: "OK", watch.composite: "OK"}
    watch.fire()
    assert watch.alarms.states(names) == {watch.leaf: "ALARM", watch.composite: "ALARM"}
    assert watch.alarms.states(()) == {}


def test_a_recovered_alarm_counts_as_fired(watch: Watch) -> None:
    names = (watch.leaf, watch.composite, "no-such-alarm")
    begin = datetime.now(UTC)
    assert watch.alarms.fired_since(names, begin) == ()
    watch.fire()
    watch.recover()
    assert watch.alarms.fired_since(names, begin) == (watch.leaf, watch.composite)
    time.sleep(0.01)
    assert watch.alarms.fired_since(names, datetime.now(UTC)) == ()


def test_the_history_gives_the_state_of_an_alarm_before_it_fired(watch: Watch) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=1)
    assert watch.alarms.state_before(watch.composite, begin + timedelta(hours=1)) is None
    watch.fire()
    assert watch.alarms.state_before(watch.composite, begin) == "OK"
    assert watch.alarms.state_before("no-such-alarm", begin) is None


def test_an_alarm_without_data_is_listed_until_its_metric_has_data(watch: Watch) -> None:
    begin = datetime.now(UTC) - timedelta(minutes=1)
    names = (watch.leaf, watch.composite, "no-such-alarm")
    assert watch.alarms.without_data(names, begin) == (watch.leaf,)
    watch.speak()
    assert watch.alarms.without_data(names, begin) == ()


def test_only_active_mute_rules_of_the_alarm_are_listed(watch: Watch) -> None:
    assert watch.alarms.mute_rules(watch.composite) == ()
    watch.mute(watch.composite)
    assert watch.alarms.mute_rules(watch.composite) == ("night",)
    assert watch.alarms.mute_rules(watch.leaf) == ()


class Log:
    """Error lines of a service, which a test writes."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.namespace = f"of-{uuid.uuid4().hex[:8]}/rollback"
        self.alarms: Alarms
        if request.param == "fake":
            self._fake: FakeAlarms | None = FakeAlarms()
            self.alarms = self._fake
            return
        self._fake = None
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._client = cloud.client("cloudwatch")
        self.alarms = real_ports(cloud, monkeypatch).alarms

    def write(self, errors: float, at: datetime) -> None:
        if self._fake is not None:
            self._fake.log(self.namespace, errors, at)
            return
        data = [{"MetricName": "ErrorLogs", "Value": errors, "Timestamp": at}]
        self._client.put_metric_data(Namespace=self.namespace, MetricData=data)


@pytest.fixture(params=["fake", "cloud"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(request, monkeypatch)


def test_error_lines_are_counted_in_the_full_minutes_of_a_window_with_the_minutes_that_have_data(log: Log) -> None:
    minute = timedelta(minutes=1)
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    for offset, errors in ((-1, 100), (0, 2), (2, 0), (3, 5), (4, 100)):
        log.write(errors, begin + offset * minute + timedelta(seconds=5))
    log.write(1, begin + timedelta(seconds=50))

    count = log.alarms.error_logs_between(log.namespace, begin, begin + 4 * minute)

    assert (count.errors, count.minutes_with_data) == (8, 3)
    empty = log.alarms.error_logs_between(f"no-{log.namespace}", begin, begin + 4 * minute)
    assert (empty.errors, empty.minutes_with_data) == (0, 0)


class TestRequestsOfTheFake:
    def test_the_fake_counts_requests_from_the_given_minute(self) -> None:
        alarms, now = FakeAlarms(), datetime(2026, 3, 1, 3, 0, 30, tzinfo=UTC)
        alarms.target_groups |= {"one", "two", "three"}
        alarms.serve("one", 5, now - timedelta(minutes=1))
        alarms.serve("one", 7, now - timedelta(seconds=10))
        alarms.serve("two", 9, now)
        alarms.serve("three", 11, now)
        assert alarms.requests_since(("one", "two"), now) == 16
        assert alarms.requests_since((), now) is None


def test_the_requests_of_a_target_group_are_counted(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms, begin = real_ports(cloud, monkeypatch).alarms, datetime.now(UTC)
    web = Workload(cloud)
    web.start_and_wait(web.release("v1"), desired=1)
    assert alarms.requests_since((web.target_group,), begin) == 0
    assert alarms.requests_since((), begin) is None
    with LoadGenerator(web.url, 100) as load:
        eventually(lambda: load.served >= 20)
    request_count = load.served + load.failed
    eventually(lambda: alarms.requests_since((web.target_group,), begin) == request_count)
    assert alarms.requests_since((web.target_group,), datetime.now(UTC) + timedelta(minutes=1)) == 0
    minute = begin.replace(second=0, microsecond=0)
    assert alarms.requests_between((web.target_group,), minute - timedelta(minutes=5), minute) == 0
    assert alarms.requests_between((web.target_group,), minute, minute + timedelta(minutes=5)) == request_count
    assert alarms.requests_between((), minute, minute + timedelta(minutes=5)) is None
    web.delete()


def test_a_network_load_balancer_counts_no_requests(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms, web, begin = real_ports(cloud, monkeypatch).alarms, Workload(cloud), datetime.now(UTC)
    described = web.elbv2.describe_load_balancers(LoadBalancerArns=[web.load_balancer])["LoadBalancers"][0]
    subnets = [zone["SubnetId"] for zone in described["AvailabilityZones"]]
    balancer = web.elbv2.create_load_balancer(Name=f"{web.name}-n", Type="network", Subnets=subnets)["LoadBalancers"][0]
    created = web.elbv2.create_target_group(
        Name=f"{web.name}-n", Protocol="TCP", Port=80, VpcId=described["VpcId"], TargetType="ip"
    )
    group: str = created["TargetGroups"][0]["TargetGroupArn"]
    assert alarms.requests_since((group,), begin) == 0  # no load balancer routes to the group yet
    web.elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="TCP",
        Port=8123,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    until = begin + timedelta(minutes=1)
    assert alarms.requests_since((group,), begin) is None
    assert alarms.requests_between((group,), begin, until) is None
    assert alarms.traffic((group,), begin, until, with_balancer_errors=True) is None
    both = (group, web.target_group)
    assert alarms.requests_between(both, begin - timedelta(minutes=9), begin) == 0  # those of the other group count


def test_a_missing_target_group_is_a_failure(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missing_group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/gone/0123456789abcdef"
    with pytest.raises(ExternalServiceError, match="DescribeTargetGroups"):
        real_ports(cloud, monkeypatch).alarms.requests_since((missing_group,), datetime.now(UTC))


@pytest.mark.parametrize("name", ["", "n" * 256], ids=["empty", "too long"])
def test_the_fake_refuses_a_name_as_cloudwatch_does(name: str) -> None:
    """moto answers that there is none (CloudWatch API reference, DescribeAlarms: 1 to 255 characters)."""
    alarms = FakeAlarms()
    for call in (alarms.states, alarms.in_alarm_since, lambda names: alarms.fired_since(names, datetime.now(UTC))):
        with pytest.raises(CallRefused):
            call((name,))


def test_more_than_100_alarms_are_described_in_several_calls(watch: Watch) -> None:
    names = (*(f"no-such-alarm-{number}" for number in range(120)), watch.leaf)
    assert watch.alarms.states(names) == {watch.leaf: "OK"}


def test_the_fake_fails_on_a_missing_target_group() -> None:
    """The same on the fake. moto answers with another error code, so the class of the error differs."""
    alarms = FakeAlarms()
    with pytest.raises(CallRefused, match="DescribeTargetGroups"):
        alarms.requests_since((f"{TARGET_GROUP}0",), datetime.now(UTC))
