"""The events adapter: an event reaches the rules of the default bus, and a failed entry is an error."""

import json
import uuid
from typing import Any

import pytest
from contract.real_ports import real_ports

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.aws.reporting.eventbridge import DefaultBusEvents
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.reporting import RollbackEvent

EVENT = RollbackEvent("rollback.concluded", {"environment": "production", "rollback_id": "r-1"})


class PartlyFailingBus:
    """A client whose answer has status 200 and a failed entry."""

    def __init__(self, code: str) -> None:
        self.code = code

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"FailedEntryCount": 1, "Entries": [{"EventId": "1"} for _ in Entries[1:]] + [{"ErrorCode": self.code}]}


@pytest.mark.parametrize(
    ("code", "error"), [("ThrottlingException", Throttled), ("InternalFailure", ExternalServiceError)]
)
def test_a_failed_entry_is_an_error(code: str, error: type[ExternalServiceError]) -> None:
    bus: Any = PartlyFailingBus(code)
    with pytest.raises(ExternalServiceError, match=f"failed for 1 of 2 events: {code}") as failure:
        DefaultBusEvents(bus, "macro-ai").put((EVENT, EVENT))
    assert type(failure.value) is error


def test_an_event_reaches_a_rule_on_its_source_type_and_environment(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    name = f"own-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["macro-ai.rollback"],
        "detail-type": ["rollback.concluded"],
        "detail": {"environment": ["production"]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    other = RollbackEvent("rollback.concluded", {"environment": "staging"})
    real_ports(cloud, monkeypatch).events.put((other, EVENT))
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
    (event,) = [json.loads(message["Body"]) for message in messages]
    assert (event["source"], event["detail-type"], event["detail"]) == (
        "macro-ai.rollback",
        "rollback.concluded",
        dict(EVENT.detail),
    )


def test_a_chat_message_without_a_topic_is_refused(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CallRefused, match="no topic for chats"):
        real_ports(cloud, monkeypatch).notifications.publish_to_chat("{}")
