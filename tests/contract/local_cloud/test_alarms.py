"""Alarms of the embedded CloudWatch behave as AWS's: metric and composite alarms, metric math, metric filters."""

import datetime
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud import clock
from local_cloud.cloudwatch import composite_rules, log_metrics, metric_math
from local_cloud.cloudwatch.evaluation import decide
from local_cloud.cloudwatch.metric_math import Reading
from local_cloud.cloudwatch.metric_store import Sample, statistic_of
from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all

PERIOD_SECONDS = 180
"""Long enough that a busy machine observes the period before the scaled clock ends it."""


class Watch:
    """Alarms on metrics of their own namespace, and a queue that receives their state changes."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.id = f"w{uuid.uuid4().hex}"
        self.api: Any = cloud.client("cloudwatch")
        self.events: Any = cloud.client("events")
        self.sqs: Any = cloud.client("sqs")
        self.url = self.sqs.create_queue(QueueName=self.id)["QueueUrl"]
        pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": self.id}]}}
        self.events.put_rule(Name=self.id, EventPattern=json.dumps(pattern))
        self.queue_arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:{self.id}"
        self.events.put_targets(Rule=self.id, Targets=[{"Id": "queue", "Arn": self.queue_arn}])
        self.names: list[str] = []

    def alarm(self, name: str = "errors", **fields: Any) -> str:
        """Put a metric alarm, by default on a sum above 5 in one period."""
        metric = {"Namespace": self.id, "MetricName": name, "Statistic": "Sum", "Period": PERIOD_SECONDS}
        defaults = {
            "Threshold": 5.0,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        }
        if "Metrics" not in fields:
            defaults |= metric
        self.names.append(f"{self.id}-{name}")
        self.api.put_metric_alarm(AlarmName=self.names[-1], **(defaults | fields))
        return self.names[-1]

    def composite(self, rule: str, name: str = "composite") -> str:
        self.names.append(f"{self.id}-{name}")
        self.api.put_composite_alarm(AlarmName=self.names[-1], AlarmRule=rule)
        return self.names[-1]

    def metric(self, name: str, *values: float) -> None:
        self.api.put_metric_data(Namespace=self.id, MetricData=[{"MetricName": name, "Values": list(values)}])

    def described(self, name: str) -> dict[str, Any]:
        answer = self.api.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        (alarm,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return dict(alarm)

    def becomes(self, name: str, state: str, seconds: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (alarm := self.described(name))["StateValue"] != state:
            assert time.monotonic() < deadline, f"{name} is {alarm['StateValue']}: {alarm['StateReason']}"
            time.sleep(0.01)
        return alarm

    def changes(self, count: int, seconds: float = 90) -> list[dict[str, Any]]:
        changes: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while len(changes) < count and time.monotonic() < deadline:
            for message in self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
                changes.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.01)
        return changes

    def remove(self) -> None:
        self.api.delete_alarms(AlarmNames=self.names)
        self.events.remove_targets(Rule=self.id, Ids=["queue"])
        self.events.delete_rule(Name=self.id)


@pytest.fixture
def watch(cloud: LocalCloud) -> Iterator[Watch]:
    watch = Watch(cloud)
    yield watch
    watch.remove()


def test_a_new_alarm_has_insufficient_data_until_it_is_evaluated(watch: Watch) -> None:
    assert watch.described(watch.alarm(TreatMissingData="missing"))["StateValue"] == "INSUFFICIENT_DATA"
    watch.becomes(watch.alarm("quiet"), "OK")


def test_a_breaching_metric_raises_the_alarm_and_its_end_clears_it(watch: Watch) -> None:
    name = watch.alarm()
    watch.becomes(name, "OK")
    watch.metric("errors", 4, 4)
    raised = watch.becomes(name, "ALARM")
    assert "[8.0] was greater than the threshold (5.0)" in raised["StateReason"]
    assert json.loads(raised["StateReasonData"])["recentDatapoints"] == [8.0]
    began = time.monotonic()
    watch.becomes(name, "OK")
    assert time.monotonic() - began < clock.real_seconds(PERIOD_SECONDS) + 30


def test_a_state_change_is_an_event_with_the_shape_that_aws_delivers(watch: Watch) -> None:
    name = watch.alarm(AlarmDescription="too many errors", Dimensions=[{"Name": "Service", "Value": "web"}])
    watch.becomes(name, "OK")
    watch.api.set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="drill", StateReasonData='{"drill": true}'
    )
    event = next(e for e in watch.changes(2) if e["detail"]["state"]["value"] == "ALARM")
    alarm = watch.described(name)
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["resources"] == [alarm["AlarmArn"]]
    detail = event["detail"]
    datetime.datetime.strptime(detail["state"].pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert detail["state"] == {"value": "ALARM", "reason": "drill", "reasonData": '{"drill": true}'}
    assert detail["previousState"]["value"] == "OK"
    assert detail["configuration"]["description"] == "too many errors"
    assert detail["configuration"]["metrics"][0]["metricStat"] == {
        "metric": {"namespace": watch.id, "name": "errors", "dimensions": {"Service": "web"}},
        "period": PERIOD_SECONDS,
        "stat": "Sum",
    }


def test_a_metric_alarm_set_by_an_operator_returns_at_a_later_evaluation(watch: Watch) -> None:
    name = watch.alarm()
    watch.becomes(name, "OK")
    began = time.monotonic()
    watch.api.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    time.sleep(clock.real_seconds(30))
    assert watch.described(name)["StateValue"] == "ALARM"
    watch.becomes(name, "OK")
    assert time.monotonic() - began >= clock.real_seconds(PERIOD_SECONDS)


def test_an_alarm_with_disabled_actions_emits_its_event_and_notifies_no_topic(watch: Watch, cloud: LocalCloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name=watch.id)["TopicArn"]
    url = watch.sqs.create_queue(QueueName=f"{watch.id}-actions")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{watch.queue_arn}-actions")
    silent = watch.alarm("silent", ActionsEnabled=False, AlarmActions=[topic])
    loud = watch.alarm("loud", AlarmActions=[topic])
    for name in (silent, loud):
        watch.becomes(name, "OK")
        watch.api.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    raised = {e["detail"]["alarmName"] for e in watch.changes(4) if e["detail"]["state"]["value"] == "ALARM"}
    assert raised == {silent, loud}
    notified: list[dict[str, Any]] = []
    deadline = time.monotonic() + 90
    while not notified and time.monotonic() < deadline:
        notified = watch.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    messages = [json.loads(json.loads(m["Body"])["Message"]) for m in notified]
    assert [(m["AlarmName"], m["NewStateValue"], m["OldStateValue"]) for m in messages] == [(loud, "ALARM", "OK")]


def test_a_composite_follows_its_children_by_name_and_arn(watch: Watch) -> None:
    first, second = watch.alarm("first"), watch.alarm("second")
    arn = watch.described(second)["AlarmArn"]
    either = watch.composite(f'ALARM("{first}") OR ALARM({arn})')
    assert watch.described(either)["AlarmRule"].startswith("ALARM(")
    watch.becomes(either, "OK")
    watch.metric("second", 50)
    watch.becomes(either, "ALARM")
    changes = [e["detail"] for e in watch.changes(6, seconds=1) if e["detail"]["alarmName"] == either]
    assert [change["state"]["value"] for change in changes[:2]] == ["OK", "ALARM"]
    assert "alarmRule" in changes[0]["configuration"]
    watch.becomes(either, "OK")


def test_a_composite_set_by_an_operator_keeps_its_state_until_a_child_changes(watch: Watch) -> None:
    child = watch.alarm("child")
    watch.becomes(child, "OK")
    parent = watch.composite(f"ALARM({child})")
    watch.becomes(parent, "OK")
    watch.api.set_alarm_state(AlarmName=parent, StateValue="ALARM", StateReason="set by an operator")
    time.sleep(clock.real_seconds(120))
    assert watch.described(parent)["StateValue"] == "ALARM"
    watch.metric("child", 50)
    watch.becomes(child, "ALARM")
    watch.becomes(child, "OK")
    watch.becomes(parent, "OK")


def test_metric_math_with_a_guard_raises_only_above_the_minimum(watch: Watch) -> None:
    def stat(key: str, name: str) -> dict[str, Any]:
        metric = {"Namespace": watch.id, "MetricName": name}
        statistic = {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": "Sum"}
        return {"Id": key, "MetricStat": statistic, "ReturnData": False}

    metrics = [
        stat("bad", "failures"),
        stat("all", "requests"),
        {"Id": "rate", "Expression": "IF(FILL(all, 0) >= 20, FILL(bad, 0) / all * 100, 0)", "ReturnData": True},
    ]
    name = watch.alarm("rate", Metrics=metrics)
    watch.becomes(name, "OK")
    watch.metric("failures", 5)
    watch.metric("requests", 5)
    time.sleep(clock.real_seconds(25))
    assert watch.described(name)["StateValue"] == "OK"
    watch.metric("requests", 20)
    watch.metric("failures", 10)
    watch.becomes(name, "ALARM")


def test_a_percentile_is_an_extended_statistic(watch: Watch) -> None:
    fields = {"Namespace": watch.id, "MetricName": "latency", "Period": PERIOD_SECONDS, "ExtendedStatistic": "p95"}
    metric: dict[str, Any] = {"Id": "m", "MetricStat": {"Metric": {"Namespace": watch.id, "MetricName": "latency"}}}
    metric["MetricStat"] |= {"Period": PERIOD_SECONDS, "Stat": "p95"}
    name = watch.alarm("by-math", Metrics=[metric])
    watch.names.append(f"{watch.id}-by-field")
    watch.api.put_metric_alarm(
        AlarmName=watch.names[-1],
        Threshold=5.0,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        **fields,
    )
    watch.metric("latency", *[1.0] * 90, *[9.0] * 10)
    watch.becomes(name, "ALARM")
    watch.becomes(watch.names[-1], "ALARM")


def test_a_statistic_that_cannot_be_evaluated_is_refused(watch: Watch) -> None:
    metric = {"Metric": {"Namespace": watch.id, "MetricName": "m"}, "Period": PERIOD_SECONDS, "Stat": "Weird"}
    with pytest.raises(ClientError, match="statistic Weird is not supported"):
        watch.alarm("weird", Metrics=[{"Id": "m", "MetricStat": metric}])


def test_an_unreadable_rule_or_expression_is_refused_and_leaves_no_alarm(watch: Watch) -> None:
    with pytest.raises(ClientError, match="ends too early"):
        watch.composite("ALARM(")
    with pytest.raises(ClientError, match="ANOMALY_DETECTION_BAND"):
        watch.alarm("band", Metrics=[{"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(1)"}])
    answer = watch.api.describe_alarms(AlarmNamePrefix=watch.id, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert answer["MetricAlarms"] + answer["CompositeAlarms"] == []


def test_describe_alarms_shows_composite_alarms_only_if_alarm_types_lists_them(watch: Watch) -> None:
    child = watch.alarm()
    parent = watch.composite(f"ALARM({child})")
    plain = watch.api.describe_alarms(AlarmNamePrefix=watch.id)
    assert [a["AlarmName"] for a in plain["MetricAlarms"]] == [child]
    assert plain["CompositeAlarms"] == []
    composites = watch.api.describe_alarms(AlarmNamePrefix=watch.id, AlarmTypes=["CompositeAlarm"])
    assert [a["AlarmName"] for a in composites["CompositeAlarms"]] == [parent]
    assert composites["MetricAlarms"] == []


def test_the_transition_time_of_an_alarm_differs_from_its_update_time(watch: Watch) -> None:
    name = watch.alarm()
    first = watch.becomes(name, "OK")
    watch.api.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="again")
    second = watch.described(name)
    assert second["StateTransitionedTimestamp"] == first["StateTransitionedTimestamp"]
    assert second["StateUpdatedTimestamp"] > first["StateUpdatedTimestamp"]


def test_an_updated_alarm_keeps_its_state(watch: Watch) -> None:
    name = watch.alarm(Threshold=5.0)
    original = watch.becomes(name, "OK")
    watch.alarm(Threshold=7.0)
    after = watch.described(name)
    assert (after["Threshold"], after["StateValue"]) == (7.0, "OK")
    assert after["StateTransitionedTimestamp"] == original["StateTransitionedTimestamp"]


def test_matching_log_events_become_metric_data_that_raise_an_alarm(watch: Watch, cloud: LocalCloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=watch.id)
    logs.create_log_stream(logGroupName=watch.id, logStreamName="task")
    transformation = {"metricName": "errors", "metricNamespace": watch.id, "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName=watch.id, filterName="errors", filterPattern="ERROR", metricTransformations=[transformation]
    )
    name = watch.alarm()
    watch.becomes(name, "OK")
    lines = ["ERROR GET /"] * 6 + ["fine"]
    entries = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=watch.id, logStreamName="task", logEvents=entries)
    raised = watch.becomes(name, "ALARM")
    assert json.loads(raised["StateReasonData"])["recentDatapoints"] == [6.0]


def test_a_log_line_in_embedded_metric_format_raises_an_alarm(watch: Watch, cloud: LocalCloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=watch.id)
    logs.create_log_stream(logGroupName=watch.id, logStreamName="function")
    dimensions = {"Environment": "production", "Service": "shop"}
    name = watch.alarm(Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()])
    watch.becomes(name, "OK")
    now = int(time.time() * 1000)
    directive = {
        "Namespace": watch.id,
        "Dimensions": [list(dimensions), ["Environment"]],
        "Metrics": [{"Name": "errors", "Unit": "Count"}, {"Name": "absent"}],
    }
    document = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, **dimensions, "errors": [4, 5]}
    lines = [json.dumps(document), 'no "_aws" document', json.dumps({"_aws": 1, "errors": 100})]
    entries = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=watch.id, logStreamName="function", logEvents=entries)
    raised = watch.becomes(name, "ALARM")
    assert json.loads(raised["StateReasonData"])["recentDatapoints"] == [9.0]
    metrics = list_all(watch.api, "list_metrics", "Metrics", Namespace=watch.id)
    name_and_dimensions = {(metric["MetricName"], len(metric["Dimensions"])) for metric in metrics}
    assert name_and_dimensions == {("errors", 1), ("errors", 2)}


def test_a_filter_pattern_that_cannot_be_matched_is_refused(watch: Watch, cloud: LocalCloud) -> None:
    transformation = {"metricName": "errors", "metricNamespace": watch.id, "metricValue": "1"}
    cloud.client("logs").create_log_group(logGroupName=watch.id)
    with pytest.raises(ClientError, match="terms and JSON conditions only"):
        cloud.client("logs").put_metric_filter(
            logGroupName=watch.id, filterName="e", filterPattern="[a, b]", metricTransformations=[transformation]
        )


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR timeout", "ERROR: timeout", True),
        ("ERROR timeout", "ERROR: refused", False),
        ("?ERROR ?Exception", "an Exception", True),
        ("ERROR -health", "ERROR in health", False),
        ('"two words"', "has two words in it", True),
        ('{ $.level = "ERROR" }', '{"level": "ERROR"}', True),
        ('{ $.level = "ERR*" && $.http.status >= 500 }', '{"level": "ERROR", "http": {"status": 503}}', True),
        ('{ $.level = "ERROR" || $.fatal = true }', '{"fatal": true}', True),
        ('{ $.level != "INFO" }', '{"level": "INFO"}', False),
        ('{ $.level = "ERROR" }', "no json", False),
    ],
)
def test_a_filter_pattern_matches_log_messages_as_cloudwatch_logs_does(
    pattern: str, message: str, expected: bool
) -> None:
    assert log_metrics.matches(pattern, message) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b * 2", 7.0),
        ("(a + b) * 2", 8.0),
        ("a - b - 1", -3.0),
        ("-a + b", 2.0),
        ("b / a", 3.0),
        ("a / zero", None),
        ("a + gone", 1.0),
        ("gone + gone", None),
        ("gone * 2", None),
        ("a / gone", None),
        ("a > gone", 1.0),
        ("IF(a, gone, 5)", 0.0),
        ("IF(gone, a, 5)", None),
        ("FILL(gone, 4) + a", 5.0),
        ("IF(a < b, 10, 20)", 10.0),
        ("IF(a >= b, 10, 20)", 20.0),
        ("IF(a > b, 10)", None),
        ("a == 1 AND b != 1", 1.0),
        ("zero || a > 5", 0.0),
        ("SUM([a, b, gone])", 4.0),
        ("MAX([a, b])", 3.0),
        ("AVG([a, b])", 2.0),
        ("SUM([gone])", None),
    ],
)
def test_metric_math_evaluates_as_the_guide_says(expression: str, expected: float | None) -> None:
    points = {"a": 1.0, "b": 3.0, "zero": 0.0, "gone": None}
    assert metric_math.parse(expression).evaluate(points) == expected


@pytest.mark.parametrize(
    ("expression", "reading", "expected"),
    [
        ("a + gone", Reading(missing_is_zero=False), None),
        ("SUM([a, gone])", Reading(missing_is_zero=False, fills_empty=False), 1.0),
        ("FILL(gone, 4)", Reading(fills_empty=False), None),
        ("FILL(late, 4)", Reading(fills_empty=False), 4.0),
        ("FILL(gone, 4)", Reading(), 4.0),
        ("SUM([FILL(gone, 4), a])", Reading(fills_empty=False), 1.0),
    ],
)
def test_metric_math_can_be_read_either_way_where_the_guide_leaves_it_open(
    expression: str, reading: Reading, expected: float | None
) -> None:
    points = metric_math.Moment({"a": 1.0, "gone": None, "late": None}, frozenset({"a", "late"}))
    with metric_math.read_as(reading):
        assert metric_math.parse(expression).evaluate(points) == expected


@pytest.mark.parametrize("expression", ["a +", "(a", "a b", "NOPE(a)", "FILL(a)", "a $ b"])
def test_unreadable_metric_math_is_refused(expression: str) -> None:
    with pytest.raises(metric_math.UnsupportedExpression):
        metric_math.parse(expression)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('ALARM("red")', True),
        ("ALARM(green) OR ALARM(red)", True),
        ("ALARM(red) AND NOT OK(green)", False),
        ("OK(green) AND (ALARM(green) OR INSUFFICIENT_DATA(grey))", True),
        ("ALARM(green) AND FALSE OR TRUE", True),
        ('NOT (ALARM("red") OR OK("green"))', False),
        ('ALARM("with AND (odd) name")', True),
    ],
)
def test_a_composite_rule_holds_by_the_states_of_its_alarms(rule: str, expected: bool) -> None:
    states = {"red": "ALARM", "green": "OK", "grey": "INSUFFICIENT_DATA", "with AND (odd) name": "ALARM"}
    assert composite_rules.parse(rule).holds(states.__getitem__) is expected


@pytest.mark.parametrize("rule", ["", "ALARM(a", "ALARM(a) ALARM(b)", "NEVER(a)", "OK(a) AND"])
def test_an_unreadable_composite_rule_is_refused(rule: str) -> None:
    with pytest.raises(composite_rules.InvalidRule):
        composite_rules.parse(rule)


@pytest.mark.parametrize(
    ("points", "needed", "missing", "expected"),
    [
        ([9, 9, 1], 2, "missing", "ALARM"),
        ([9, 1, 1], 2, "missing", "OK"),
        ([None, None, None], 2, "missing", "INSUFFICIENT_DATA"),
        ([None, None, None], 2, "ignore", None),
        ([None, None, None], 2, "breaching", "ALARM"),
        ([None, None, None], 2, "notBreaching", "OK"),
        ([9, None, None], 2, "missing", None),
        ([None, 9, None], 2, "missing", "ALARM"),
        ([9, None, None], 2, "breaching", "ALARM"),
        ([9, None, None], 2, "notBreaching", "OK"),
        ([None, 1, None], 1, "ignore", "OK"),
    ],
)
def test_m_of_n_points_decide_with_each_treatment_of_missing_data(
    points: list[float | None], needed: int, missing: str, expected: str | None
) -> None:
    assert decide(points, needed, lambda value: value > 5, missing) == expected


def test_statistics_are_computed_from_values_and_from_sets() -> None:
    values = [Sample(0, value, 1, value, value) for value in (1.0, 2.0, 3.0, 10.0)]
    aggregate = Sample(0, 20.0, 4, 0.5, 30.0)
    assert statistic_of([*values, aggregate], "Sum") == 36
    assert statistic_of([*values, aggregate], "SampleCount") == 8
    assert statistic_of([*values, aggregate], "Average") == 4.5
    assert statistic_of([*values, aggregate], "Minimum") == 0.5
    assert statistic_of([*values, aggregate], "Maximum") == 30
    assert statistic_of(values, "p50") == 2.5
    assert statistic_of([], "Sum") is None
