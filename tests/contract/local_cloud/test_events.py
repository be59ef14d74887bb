"""EventBridge of the embedded cloud behaves as AWS's: matching, targets, retries, dead letters, schedules."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.events.models import EventPattern
from referee.live import CLUSTER, ECS_SERVICE, SERVICE
from referee.sample_events import CLUSTER_ARN, TASK_SAMPLES

from local_cloud import clock
from local_cloud.deployment.server import LocalCloud
from local_cloud.events import rules as events
from local_cloud.events import targets as events_targets
from local_cloud.events.payload import payload_for
from local_cloud.events.schedule import period_seconds
from local_cloud.listing import list_all
from rollback_constructs.alarms.failed_tasks import failed_task_pattern
from rollback_constructs.attachment import Attachment

EVENT = {
    "version": "0",
    "id": "1",
    "detail-type": "Deployed",
    "source": "shop",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-west-1",
    "resources": ["arn:one"],
    "detail": {"name": 'the "web" shop', "count": 3, "state": {"value": "ALARM"}},
}
RULE = "arn:aws:events:eu-west-1:123456789012:rule/deployed"


class Bus:
    """A rule of the default bus, and a queue as its target."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.name = f"rule-{uuid.uuid4()}"
        self.source = f"source-{uuid.uuid4()}"
        self.events: Any = cloud.client("events")
        self.sqs: Any = cloud.client("sqs")
        self.urls: dict[str, str] = {}

    def queue(self, name: str) -> str:
        """Make a queue; return its ARN."""
        full_name = f"{name}-{self.name}"
        self.urls[name] = self.sqs.create_queue(QueueName=full_name)["QueueUrl"]
        return f"arn:aws:sqs:{self.cloud.region}:{self.cloud.account}:{full_name}"

    def rule(self, *targets: dict[str, Any], **fields: Any) -> str:
        options = fields or {"EventPattern": json.dumps({"source": [self.source]})}
        arn = self.events.put_rule(Name=self.name, **options)["RuleArn"]
        self.events.put_targets(Rule=self.name, Targets=[{"Id": str(i), **t} for i, t in enumerate(targets)])
        return str(arn)

    def put(self, **detail: Any) -> str:
        entry = {"Source": self.source, "DetailType": "Deployed", "Detail": json.dumps(detail)}
        return str(self.events.put_events(Entries=[entry])["Entries"][0]["EventId"])

    def received(self, name: str, count: int = 1, seconds: float = 90) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while len(messages) < count and time.monotonic() < deadline:
            messages += self.sqs.receive_message(
                QueueUrl=self.urls[name], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            time.sleep(0.01)
        return messages

    def delivery(self, event_id: str, seconds: float = 90) -> events.Delivery:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for delivery in events.deliveries():
                if delivery.event_id == event_id:
                    return delivery
            time.sleep(0.01)
        raise AssertionError(f"nothing became of event {event_id}")

    def remove(self) -> None:
        targets = list_all(self.events, "list_targets_by_rule", "Targets", Rule=self.name)
        self.events.remove_targets(Rule=self.name, Ids=[target["Id"] for target in targets])
        self.events.delete_rule(Name=self.name)


@pytest.fixture
def bus(cloud: LocalCloud) -> Iterator[Bus]:
    bus = Bus(cloud)
    yield bus
    events.set_duplicate_delivery(False)
    bus.remove()


def test_an_event_has_exactly_the_fields_that_aws_delivers(bus: Bus, cloud: LocalCloud) -> None:
    bus.rule({"Arn": bus.queue("target")})
    event_id = bus.put(name="web")
    event = json.loads(bus.received("target")[0]["Body"])
    time.strptime(event.pop("time"), "%Y-%m-%dT%H:%M:%SZ")
    assert event == {
        "version": "0",
        "id": event_id,
        "detail-type": "Deployed",
        "source": bus.source,
        "account": cloud.account,
        "region": cloud.region,
        "resources": [],
        "detail": {"name": "web"},
    }


def test_a_disabled_rule_and_a_rule_with_another_pattern_deliver_nothing(bus: Bus) -> None:
    bus.rule({"Arn": bus.queue("target")})
    bus.events.disable_rule(Name=bus.name)
    bus.put(name="while disabled")
    bus.events.enable_rule(Name=bus.name)
    bus.events.put_events(Entries=[{"Source": "else", "DetailType": "Deployed", "Detail": "{}"}])
    bus.put(name="wanted")
    details = [json.loads(message["Body"])["detail"] for message in bus.received("target", 2, seconds=0.5)]
    assert details == [{"name": "wanted"}]


def test_a_state_machine_is_started_as_the_role_of_the_target(bus: Bus, cloud: LocalCloud) -> None:
    trust = {"Version": "2012-10-17", "Statement": []}
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "states:StartExecution", "Resource": "*"}],
    }
    iam, states = cloud.client("iam"), cloud.client("stepfunctions")
    role = iam.create_role(RoleName=bus.name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=bus.name, PolicyName="start", PolicyDocument=json.dumps(policy))
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(name=bus.name, definition=json.dumps(definition), roleArn=role)
    machine_arn = machine["stateMachineArn"]
    bus.rule({"Arn": machine_arn, "RoleArn": role, "InputPath": "$.detail"})
    event_id = bus.put(name="web")
    assert bus.delivery(event_id).outcome == "delivered"
    (execution,) = list_all(states, "list_executions", "executions", stateMachineArn=machine_arn)
    assert execution["name"].startswith(f"{event_id}_")
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"name": "web"}


def test_a_rule_delivers_to_a_topic_and_to_a_log_group(bus: Bus, cloud: LocalCloud) -> None:
    sns, logs = cloud.client("sns"), cloud.client("logs")
    topic = sns.create_topic(Name=bus.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=bus.queue("subscriber"))
    logs.create_log_group(logGroupName=f"/events/{bus.name}")
    group = f"arn:aws:logs:{cloud.region}:{cloud.account}:log-group:/events/{bus.name}"
    let_events_write(cloud, bus.name, f"{group}:*")
    bus.rule({"Arn": topic}, {"Arn": group})
    event_id = bus.put(name="web")
    notification = json.loads(bus.received("subscriber")[0]["Body"])
    assert json.loads(notification["Message"])["id"] == event_id
    logged: list[dict[str, Any]] = []
    deadline = time.monotonic() + 90
    while not logged and time.monotonic() < deadline:
        logged = list_all(logs, "filter_log_events", "events", logGroupName=f"/events/{bus.name}")
    assert [json.loads(entry["message"])["id"] for entry in logged] == [event_id]


def let_events_write(cloud: LocalCloud, name: str, resource: str) -> None:
    """Put a resource policy of CloudWatch Logs."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": resource,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("logs").put_resource_policy(policyName=name, policyDocument=document)


def test_a_log_group_without_a_resource_policy_for_it_takes_no_event(bus: Bus, cloud: LocalCloud) -> None:
    cloud.client("logs").create_log_group(logGroupName=f"/events/{bus.name}")
    group = f"arn:aws:logs:{cloud.region}:{cloud.account}:log-group:/events/{bus.name}"
    let_events_write(cloud, f"{bus.name}-other", f"{group}-other:*")
    bus.rule({"Arn": group, "DeadLetterConfig": {"Arn": bus.queue("dead")}})
    event_id = bus.put(name="web")
    (message,) = bus.received("dead")
    assert json.loads(message["Body"])["id"] == event_id
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


CONTAINERS = [{"name": "app", "exitCode": 1}, {"name": "proxy", "exitCode": 0}, {"name": "starting"}]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"containers": {"name": ["app"], "exitCode": [{"anything-but": [0]}]}}, True),
        ({"containers": {"name": ["proxy"], "exitCode": [{"anything-but": [0]}]}}, False),
        ({"containers": {"name": ["starting"], "exitCode": [{"anything-but": [0]}]}}, False),
        ({"containers": {"name": ["starting"], "exitCode": [{"exists": False}]}}, True),
        ({"$or": [{"state": ["FAILED"]}, {"containers": {"exitCode": [1]}}]}, True),
        ({"$or": [{"state": ["FAILED"]}, {"containers": {"exitCode": [2]}}]}, False),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_a_pattern_compares_the_fields_of_one_object_of_an_array(pattern: dict[str, Any], matches: bool) -> None:
    event = {**EVENT, "detail": {"state": "STOPPED", "containers": CONTAINERS}}
    assert EventPattern.load(json.dumps({"detail": pattern})).matches_event(event) is matches


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("name", TASK_SAMPLES)
def test_the_embedded_eventbridge_finds_failed_tasks_as_the_referee_does(name: str) -> None:
    event, is_failure = TASK_SAMPLES[name]
    service = Attachment(
        name=SERVICE, cluster=CLUSTER, ecs_service=ECS_SERVICE, container=SERVICE, task_role_arns=(),
        execution_role_arns=(),
    )  # fmt: skip
    pattern = json.dumps(failed_task_pattern(service, CLUSTER_ARN))
    assert EventPattern.load(pattern).matches_event(event) is is_failure


def test_an_event_for_a_missing_target_is_dead_lettered_at_once_with_the_reason(bus: Bus, cloud: LocalCloud) -> None:
    absent = f"arn:aws:sqs:{cloud.region}:{cloud.account}:absent"
    rule = bus.rule({"Arn": absent, "DeadLetterConfig": {"Arn": bus.queue("dead")}})
    event_id = bus.put(name="web")
    (message,) = bus.received("dead")
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["id"] == event_id
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {
        "RULE_ARN": rule,
        "TARGET_ARN": absent,
        "ERROR_CODE": "NO_RESOURCE",
        "RETRY_ATTEMPTS": "0",
    }


@pytest.mark.parametrize(
    ("policy", "condition", "retries"),
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", "2"),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", "5"),
    ],
)
def test_retries_end_by_number_or_age_and_the_event_is_dead_lettered(
    bus: Bus, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, policy: dict[str, int], condition: str, retries: str
) -> None:
    def refuse(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "InternalFailure", "Message": "busy"}}, "PutRecord")

    monkeypatch.setitem(events_targets._CALLS, "kinesis", ("kinesis", refuse))
    arn = f"arn:aws:kinesis:{cloud.region}:{cloud.account}:stream/busy"
    bus.rule({"Arn": arn, "RetryPolicy": policy, "DeadLetterConfig": {"Arn": bus.queue("dead")}})
    began = time.monotonic()
    event_id = bus.put(name="web")
    (message,) = bus.received("dead", seconds=clock.real_seconds(60) + 90)
    assert time.monotonic() - began >= clock.real_seconds(3)
    assert message["MessageAttributes"]["EXHAUSTED_RETRY_CONDITION"]["StringValue"] == condition
    assert message["MessageAttributes"]["RETRY_ATTEMPTS"]["StringValue"] == retries
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "ERROR_FROM_TARGET"
    assert bus.delivery(event_id).outcome == "dead-lettered"


def test_an_undeliverable_event_without_a_dead_letter_queue_is_dropped(bus: Bus, cloud: LocalCloud) -> None:
    bus.rule({"Arn": f"arn:aws:kinesis:{cloud.region}:{cloud.account}:stream/absent"})
    delivery = bus.delivery(bus.put(name="web"))
    assert (delivery.outcome, delivery.error_code) == ("dropped", "SDK_CLIENT_ERROR")


def test_put_events_refuses_each_entry_of_an_aws_source(bus: Bus) -> None:
    bus.rule({"Arn": bus.queue("target")}, EventPattern=json.dumps({"detail-type": [bus.name]}))
    entries = [
        {"Source": source, "DetailType": bus.name, "Detail": "{}"} for source in ("aws.cloudwatch", "allowed.source")
    ]
    answer = bus.events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    delivered = bus.received("target", 2, seconds=0.5)
    assert [json.loads(message["Body"])["source"] for message in delivered] == ["allowed.source"]


def test_the_cloud_emits_events_of_aws_services(bus: Bus, cloud: LocalCloud) -> None:
    bus.rule({"Arn": bus.queue("target")}, EventPattern=json.dumps({"source": ["aws.test"]}))
    event_id = events.emit(cloud.account, cloud.region, "aws.test", "Changed", {"a": 1}, ["arn:one"])
    event = json.loads(bus.received("target")[0]["Body"])
    assert (event["id"], event["resources"], event["detail"]) == (event_id, ["arn:one"], {"a": 1})


def test_a_duplicate_delivery_has_the_same_event_id(bus: Bus) -> None:
    bus.rule({"Arn": bus.queue("target")})
    events.set_duplicate_delivery(True)
    event_id = bus.put(name="web")
    messages = bus.received("target", 2)
    assert [json.loads(message["Body"])["id"] for message in messages] == [event_id, event_id]


def test_a_rate_rule_fires_each_period_of_the_scaled_clock_and_matches_no_event(bus: Bus) -> None:
    rule = bus.rule({"Arn": bus.queue("target")}, ScheduleExpression="rate(1 minute)")
    began = time.monotonic()
    bus.put(name="unrelated")
    messages = bus.received("target", 2, seconds=clock.real_seconds(180) + 90)
    assert time.monotonic() - began >= clock.real_seconds(115)
    fired = [json.loads(message["Body"]) for message in messages]
    assert [(event["source"], event["detail-type"], event["resources"]) for event in fired] == [
        ("aws.events", "Scheduled Event", [rule]),
        ("aws.events", "Scheduled Event", [rule]),
    ]


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(5 minutes)", 300), ("rate(1 hour)", 3600), ("rate(2 days)", 172_800), ("cron(0 1 * * ? *)", None)],
)
def test_a_rate_expression_is_read_in_seconds(expression: str, seconds: int | None) -> None:
    assert period_seconds(expression) == seconds


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"name": <name>, "count": <count>, "state": <state>}', {
            "name": 'the "web" shop', "count": 3, "state": {"value": "ALARM"}}),
        ('{"text": "<count> of <name>"}', {"text": '3 of the "web" shop'}),
        ('{"gone": <gone>, "text": "<gone>"}', {"gone": "", "text": ""}),
        ('{"type": <type>, "first": <first>}', {"type": "Deployed", "first": "arn:one"}),
        ('{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>"}', {"rule": "deployed", "arn": RULE}),
        ('"<count> deployed"', "3 deployed"),
    ],
)  # fmt: skip
def test_a_placeholder_becomes_json_outside_quotes_and_text_inside(template: str, expected: Any) -> None:
    paths = {
        "name": "$.detail.name", "count": "$.detail.count", "state": "$.detail.state", "gone": "$.detail.gone",
        "type": "$.detail-type", "first": "$.resources[0]",
    }  # fmt: skip
    target = {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}
    assert json.loads(payload_for(target, EVENT, RULE)) == expected


def test_a_target_receives_its_input_or_the_value_at_its_input_path() -> None:
    assert payload_for({"Input": '{"fixed": 1}'}, EVENT, RULE) == '{"fixed": 1}'
    assert json.loads(payload_for({"InputPath": "$.detail['state']"}, EVENT, RULE)) == {"value": "ALARM"}
    assert json.loads(payload_for({}, EVENT, RULE)) == EVENT


def test_a_rate_schedule_of_eventbridge_scheduler_delivers_its_input_with_its_role(bus: Bus) -> None:
    queue = bus.queue("target")
    bus.rule({"Arn": queue})  # the fixture deletes the bus's rule
    iam: Any = bus.cloud.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}}
        ],
    }
    role_arn = iam.create_role(RoleName=bus.name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=bus.name, PolicyName="send", PolicyDocument=policy)
    bus.cloud.client("scheduler").create_schedule(
        Name=bus.name,
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": role_arn, "Input": '{"drill": true}'},
    )
    assert json.loads(bus.received("target", seconds=clock.real_seconds(120) + 90)[0]["Body"]) == {"drill": True}
    bus.cloud.client("scheduler").delete_schedule(Name=bus.name)
