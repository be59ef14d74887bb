"""What the steps are promised of HTTP, SNS and Step Functions, on the fakes and on real ones."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from contract.local_cloud.workload import eventually
from contract.real_world import real_world
from fakes import FakeHttp, FakeNotifications, FakeWorkflow, Sent

from local_cloud.server import LocalCloud
from rollback.model.errors import NotAvailable, OutsideFailure
from rollback.model.service_view import ProbeResult
from rollback.steps.ports import Http, Workflow
from rollback.world.http import HttpxHttp


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
        """No access log."""


@pytest.fixture(params=["fake", "httpx"])
def site(request: pytest.FixtureRequest) -> Iterator[tuple[Http, str]]:
    if request.param == "fake":
        fake, base = FakeHttp(), "http://site.test"
        fake.answers[f"{base}/broken"] = ProbeResult(status=500, seconds=0.01)
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
def test_an_answer_is_told_as_it_is(site: tuple[Http, str], path: str, status: int) -> None:
    http, base = site
    answer = http.get(base + path, 2.0)
    assert (answer.status, answer.error) == (status, "")
    assert 0 < answer.seconds < 2


def test_no_answer_in_time_is_told(site: tuple[Http, str]) -> None:
    http, base = site
    answer = http.get(f"{base}/slow", 0.2)
    assert answer.status is None
    assert answer.error == "no answer within 0.2 s"


def test_a_closed_port_is_told(site: tuple[Http, str]) -> None:
    answer = site[0].get("http://127.0.0.1:1/", 2.0)
    assert answer.status is None
    assert answer.error.startswith("ConnectError")


def test_an_address_that_is_none_is_told() -> None:
    answer = HttpxHttp().get("http://[", 1.0)
    assert answer.status is None
    assert answer.error


def test_a_message_reaches_the_subscribers(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"told-{uuid.uuid4().hex[:8]}"
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic, queue = sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    subject = "express-api → v1\n" + "x" * 200
    notifications = real_world(cloud, monkeypatch, topic_arn=topic).notifications
    notifications.publish(subject, "– how it went –", {"outcome": "succeeded", "empty": ""})
    (got,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    body = json.loads(got["Body"])
    assert body["Message"] == "– how it went –"
    assert body["Subject"].startswith("express-api -> v1 x")
    assert len(body["Subject"]) < 100
    assert body["MessageAttributes"] == {"outcome": {"Type": "String", "Value": "succeeded"}}


def test_a_topic_that_is_not_there_is_a_failure(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutsideFailure, match="Publish on arn:aws:sns"):
        real_world(cloud, monkeypatch).notifications.publish("s", "m", {})


def test_the_fake_keeps_what_was_sent() -> None:
    fake = FakeNotifications()
    fake.publish("s", "m", {"a": "b"})
    assert fake.sent == [Sent("s", "m", {"a": "b"})]


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
    return real_world(cloud, monkeypatch, workflow_arn=arn).workflow


def executions(machine: Any, cloud: LocalCloud) -> list[str]:
    """ARNs; of the fake, the names that were started, which then run."""
    if isinstance(machine, FakeWorkflow):
        machine.running |= {name for name, _ in machine.started}
        return [name for name, _ in machine.started]
    client = cloud.client("stepfunctions")
    return [e["executionArn"] for e in client.list_executions(stateMachineArn=machine._workflow_arn)["executions"]]


def test_an_execution_is_started_once_for_each_name(machine: Workflow, cloud: LocalCloud) -> None:
    machine.start("one", {"a": 1})
    machine.start("one", {"a": 2})
    (execution,) = executions(machine, cloud)
    assert machine.is_running(execution)


@pytest.mark.parametrize(
    "execution",
    ["direct:someone:1", "arn:aws:states:eu-west-1:123456789012:execution:none:none"],
)
def test_what_was_never_started_does_not_run(machine: Workflow, execution: str) -> None:
    assert not machine.is_running(execution)


def test_without_a_state_machine_nothing_is_started(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAvailable, match="one"):
        real_world(cloud, monkeypatch).workflow.start("one", {})


def test_a_page_goes_to_the_critical_topic_and_nothing_else_does(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"paged-{uuid.uuid4().hex[:8]}"
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic, queue = sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"]
    ordinary = sns.create_topic(Name=f"{name}-ordinary")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    notifications = real_world(cloud, monkeypatch, topic_arn=ordinary, critical_topic_arn=topic).notifications
    notifications.publish("told", "it succeeded", {"severity": "info"})
    notifications.publish("paged", "it was refused", {"severity": "page"})
    (got,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"))
    assert json.loads(got["Body"])["Subject"] == "paged"
