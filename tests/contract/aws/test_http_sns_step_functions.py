"""Promises of the ports to HTTP, SNS and Step Functions, kept on the fakes and on real services."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from contract.local_cloud.workload import eventually
from contract.real_ports import real_ports
from fakes.aws.sns import FakeNotifications, SentNotification
from fakes.aws.step_functions import FakeWorkflow, execution_arn
from fakes.http import FakeHttp

from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all
from rollback.adapters.http import HttpxHttp
from rollback.errors import CallRefused, ExternalServiceError, NotAvailable
from rollback.ports.aws.step_functions import Workflow
from rollback.ports.http import Http
from rollback.ports.reporting import Notifications
from rollback.resources.aws.ecs_service import ProbeResult


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        status = {"/broken": 500, "/moved": 302}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/health")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Write no access log."""


@pytest.fixture(params=["fake", "httpx"])
def site(request: pytest.FixtureRequest) -> Iterator[tuple[Http, str]]:
    if request.param == "fake":
        fake, base = FakeHttp("http://site.test"), "http://site.test"
        fake.answers[f"{base}/broken"] = ProbeResult(status=500, seconds=0.01)
        fake.answers[f"{base}/ok"] = ProbeResult(status=200, seconds=0.01, body="ok")
        fake.answers[f"{base}/moved"] = ProbeResult(status=302, seconds=0.01)
        fake.answers[f"{base}/slow"] = ProbeResult(status=200, seconds=1)
        fake.answers["http://127.0.0.1:1/"] = ProbeResult(status=None, seconds=0.01, error="ConnectError: refused")
        yield fake, base
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield HttpxHttp(), f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/broken", 500), ("/moved", 302)])
def test_an_answer_is_returned_with_its_status(site: tuple[Http, str], path: str, status: int) -> None:
    http, base = site
    answer = http.get(base + path, 2.0)
    assert (answer.status, answer.error) == (status, "")
    assert 0 < answer.seconds < 2


def test_the_body_is_returned_only_on_request(site: tuple[Http, str]) -> None:
    http, base = site
    assert http.get(f"{base}/ok", 2.0, with_body=True).body == "ok"
    assert http.get(f"{base}/ok", 2.0).body == ""


def test_a_timeout_is_an_error_that_names_the_limit(site: tuple[Http, str]) -> None:
    http, base = site
    answer = http.get(f"{base}/slow", 0.2)
    assert answer.status is None
    assert answer.error == "no answer within 0.2 s"


def test_a_closed_port_is_a_connection_error(site: tuple[Http, str]) -> None:
    answer = site[0].get("http://127.0.0.1:1/", 2.0)
    assert answer.status is None
    assert answer.error.startswith("ConnectError")


def test_an_invalid_url_is_an_error() -> None:
    answer = HttpxHttp().get("http://[", 1.0)
    assert answer.status is None
    assert answer.error


def test_a_message_reaches_the_subscribers_of_its_topic(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"topic-{uuid.uuid4().hex[:8]}"
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic, queue = sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    subject = "express-api → v1\n" + "x" * 200
    notifications = real_ports(cloud, monkeypatch, topic_arn=topic).notifications
    notifications.publish(subject, "– how it went –", {"outcome": "succeeded", "empty": ""})
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    body = json.loads(message["Body"])
    assert body["Message"] == "– how it went –"
    assert body["Subject"].startswith("express-api -> v1 x")
    assert len(body["Subject"]) < 100
    assert body["MessageAttributes"] == {"outcome": {"Type": "String", "Value": "succeeded"}}


def test_a_missing_topic_is_a_failure(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExternalServiceError, match="Publish on arn:aws:sns"):
        real_ports(cloud, monkeypatch).notifications.publish("s", "m", {})


def test_the_fake_keeps_each_message() -> None:
    fake = FakeNotifications()
    fake.publish("s", "m", {"a": "b"})
    assert fake.sent == [SentNotification("s", "m", {"a": "b"})]


@pytest.fixture(params=["fake", "cloud"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    if request.param == "fake":
        return FakeWorkflow()
    cloud: LocalCloud = request.getfixturevalue("cloud")
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3000, "End": True}}}
    arn = cloud.client("stepfunctions").create_state_machine(
        name=f"w-{uuid.uuid4().hex[:8]}",
        definition=json.dumps(waiting),
        roleArn=f"arn:aws:iam::{cloud.account}:role/none",
    )["stateMachineArn"]
    return real_ports(cloud, monkeypatch, workflow_arn=arn).workflow


def executions(machine: Any, cloud: LocalCloud) -> list[str]:
    """Return the ARNs of the executions. On the fake, this call starts them."""
    if isinstance(machine, FakeWorkflow):
        machine.running |= {execution_arn(name) for name, _ in machine.started}
        return [execution_arn(name) for name, _ in machine.started]
    client = cloud.client("stepfunctions")
    return [
        e["executionArn"]
        for e in list_all(client, "list_executions", "executions", stateMachineArn=machine._workflow_arn)
    ]


def test_each_name_starts_one_execution(machine: Workflow, cloud: LocalCloud) -> None:
    machine.start("one", {"a": 1})
    machine.start("one", {"a": 2})
    (execution,) = executions(machine, cloud)
    assert machine.is_running(execution)


@pytest.mark.parametrize(
    "execution",
    ["direct:someone:1", "arn:aws:states:eu-west-1:123456789012:execution:none:none"],
)
def test_a_missing_execution_does_not_run(machine: Workflow, execution: str) -> None:
    assert not machine.is_running(execution)


def test_starting_an_execution_without_a_state_machine_is_refused(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotAvailable, match="one"):
        real_ports(cloud, monkeypatch).workflow.start("one", {})


def test_only_pages_go_to_the_critical_topic(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"paged-{uuid.uuid4().hex[:8]}"
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic, queue = sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"]
    ordinary = sns.create_topic(Name=f"{name}-ordinary")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    notifications = real_ports(cloud, monkeypatch, topic_arn=ordinary, critical_topic_arn=topic).notifications
    notifications.publish("reported", "the rollback succeeded", {"severity": "info"})
    notifications.publish("paged", "the rollback was refused", {"severity": "page"})
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"))
    assert json.loads(message["Body"])["Subject"] == "paged"


# Refusals of Step Functions and SNS, and the errors that the adapters make of them


def test_a_stop_keeps_its_cause_and_a_second_stop_succeeds(machine: Workflow, cloud: LocalCloud) -> None:
    machine.start("one", {"a": 1})
    (execution,) = executions(machine, cloud)
    machine.stop(execution, "taken over")
    assert not machine.is_running(execution)
    machine.stop(execution, "taken over again")
    assert cause_of(machine, execution, cloud) == "taken over"


def test_a_stop_names_its_error(machine: Workflow, cloud: LocalCloud) -> None:
    machine.start("one", {"a": 1})
    (execution,) = executions(machine, cloud)
    machine.stop(execution, "did you mean 'service'?", error="InvalidRequest")
    if isinstance(machine, FakeWorkflow):
        assert machine.errors[execution] == "InvalidRequest"
    else:
        end = cloud.client("stepfunctions").describe_execution(executionArn=execution)
        assert (end["status"], end["error"]) == ("ABORTED", "InvalidRequest")
    assert cause_of(machine, execution, cloud) == "did you mean 'service'?"


def cause_of(machine: Any, execution: str, cloud: LocalCloud) -> str:
    if isinstance(machine, FakeWorkflow):
        return machine.causes[execution]
    return str(cloud.client("stepfunctions").describe_execution(executionArn=execution)["cause"])


@pytest.mark.parametrize(
    "execution", ["direct:someone:1", "one", "arn:aws:states:eu-west-1:123456789012:execution:none:none"]
)
def test_stopping_a_missing_execution_succeeds_and_stops_nothing(
    machine: Workflow, cloud: LocalCloud, execution: str
) -> None:
    machine.start("one", {"a": 1})
    (running,) = executions(machine, cloud)
    machine.stop(execution, "taken over")
    assert machine.is_running(running)
    assert not machine.is_running(execution)


def test_a_cause_of_any_length_stops_an_execution(machine: Workflow, cloud: LocalCloud) -> None:
    machine.start("one", {"a": 1})
    (execution,) = executions(machine, cloud)
    machine.stop(execution, "x" * 40_000)
    assert not machine.is_running(execution)


@pytest.mark.parametrize("name", ["n" * 81, "", "not a name", "a/b", "a:b", "a\nb", "wild*"])
def test_an_invalid_execution_name_is_refused(machine: Workflow, cloud: LocalCloud, name: str) -> None:
    if not isinstance(machine, FakeWorkflow):
        pytest.skip("moto takes what StartExecution refuses")
    with pytest.raises(CallRefused, match="StartExecution"):
        machine.start(name, {})
    assert executions(machine, cloud) == []


def test_an_input_that_is_too_long_is_refused(machine: Workflow, cloud: LocalCloud) -> None:
    if not isinstance(machine, FakeWorkflow):
        pytest.skip("moto takes what StartExecution refuses")
    with pytest.raises(CallRefused, match="StartExecution"):
        machine.start("one", {"a": "x" * 270_000})
    assert executions(machine, cloud) == []


def test_a_used_name_starts_no_execution_with_another_input_or_after_its_end(
    machine: Workflow, cloud: LocalCloud
) -> None:
    """Step Functions answers both with ExecutionAlreadyExists, which the adapter counts as started."""
    machine.start("one", {"a": 1})
    (execution,) = executions(machine, cloud)
    machine.stop(execution, "over")
    machine.start("one", {"a": 1})
    machine.start("one", {"a": 2})
    assert not machine.is_running(execution)
    assert len(set(executions_that_were(machine, cloud))) == 1


def executions_that_were(machine: Any, cloud: LocalCloud) -> list[str]:
    if isinstance(machine, FakeWorkflow):
        return [execution_arn(name) for name, _ in machine.started]
    return executions(machine, cloud)


@pytest.fixture(params=["fake", "cloud"])
def topic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Notifications:
    if request.param == "fake":
        return FakeNotifications()
    cloud: LocalCloud = request.getfixturevalue("cloud")
    arn = cloud.client("sns").create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    return real_ports(cloud, monkeypatch, topic_arn=arn, critical_topic_arn=arn).notifications


@pytest.mark.parametrize(
    ("subject", "message", "attributes"),
    [
        ("x" * 300, "m", {}),
        ("two\nlines → done", "m", {}),
        ("", "m", {"empty": ""}),
        ("s", "ü" * 200_000, {"severity": "page"}),
        ("s", "half a pair: \ud83d", {}),
    ],
    ids=["long subject", "subject of two lines", "empty", "long message", "no UTF-8"],
)
def test_subjects_and_messages_are_adapted_to_the_limits_of_sns(
    topic: Notifications, subject: str, message: str, attributes: dict[str, str]
) -> None:
    topic.publish(subject, message, attributes)


def test_an_empty_message_and_an_attribute_of_the_wrong_type_are_refused(topic: Notifications) -> None:
    if not isinstance(topic, FakeNotifications):
        pytest.skip("moto takes what Publish refuses")
    with pytest.raises(CallRefused, match="Publish"):
        topic.publish("s", "", {})
    wrong: Any = {"severity": 7}
    with pytest.raises(CallRefused, match="Publish"):
        topic.publish("s", "m", wrong)


@pytest.mark.parametrize("attributes", [{"not a name": "x"}, {"AWS.x": "x"}, {"long": "x" * 20_000}])
def test_the_fake_refuses_attributes_as_sns_does(attributes: dict[str, str]) -> None:
    """moto takes them (Amazon SNS Developer Guide, "Amazon SNS message attributes")."""
    with pytest.raises(CallRefused, match="Publish"):
        FakeNotifications().publish("s", "x" * 250_000, attributes)


def test_the_fake_keeps_the_adapted_message() -> None:
    fake = FakeNotifications()
    fake.publish("v1 → v2\n" + "x" * 200, "ü" * 200_000, {"severity": "info", "empty": ""})
    (message,) = fake.sent
    assert message.subject == "v1 -> v2 " + "x" * 90
    assert message.message == "ü" * 125_000
    assert message.attributes == {"severity": "info"}


@pytest.mark.parametrize("url", ["http://[", "ftp://site.test/", "/health"])
def test_a_url_that_is_not_http_has_no_answer(site: tuple[Http, str], url: str) -> None:
    answer = site[0].get(url, 1.0)
    assert answer.status is None
    assert answer.error


def test_the_fake_answers_only_for_its_own_sites() -> None:
    answer = FakeHttp("http://site.test").get("http://elsewhere.test/health", 1.0)
    assert (answer.status, answer.error) == (None, "ConnectError: Name or service not known")
