"""Definitions are read and registered with members that the SDK does not know: tests on the bytes of HTTP requests."""

import json
from io import BytesIO
from typing import Any, cast

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from support.builders import definition

from rollback.adapters.aws.ecs.client import EcsServices
from rollback.domain.releases.release import normalised_definition
from rollback.errors import CallRefused


class Wire:
    """Answer ECS's HTTP requests with these bodies, and record the bodies of the requests."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.answers, self.sent = list(answers), list[dict[str, Any]]()
        client = boto3.client("ecs", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
        client.meta.events.register("before-send.ecs", cast(Any, self._answer))
        self.services = EcsServices(client, client)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(json.loads(request.body))
        status, body = self.answers.pop(0)
        headers: Any = {"x-amzn-requestid": "1"}
        return AWSResponse(request.url, status, headers, Raw(json.dumps(body).encode()))


class Raw(BytesIO):
    """The body of an HTTP answer, as urllib3 has it."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def definition_with_unknown_members() -> dict[str, Any]:
    """Build a definition with members that no SDK knows yet."""
    task_definition = definition("v1", ofTomorrow={"enabled": True}, registeredAt=1772334000.5)
    task_definition["containerDefinitions"][0] |= {
        "ofTomorrow": 1,
        "healthCheck": {"command": ["CMD", "true"], "ofTomorrow": 2},
    }
    return task_definition


REGISTERED = (200, {"taskDefinition": {"taskDefinitionArn": "arn:registered"}})


def test_members_that_the_sdk_does_not_know_are_read() -> None:
    wire = Wire((200, {"taskDefinition": definition_with_unknown_members(), "tags": [{"key": "team", "value": "web"}]}))
    task_definition = wire.services.definition("web")
    assert task_definition is not None
    assert task_definition["ofTomorrow"] == {"enabled": True}
    assert task_definition["containerDefinitions"][0]["ofTomorrow"] == 1
    assert task_definition["containerDefinitions"][0]["healthCheck"]["ofTomorrow"] == 2
    assert task_definition["tags"] == [{"key": "team", "value": "web"}]


def test_members_that_the_sdk_does_not_know_are_registered() -> None:
    stored_definition = normalised_definition(definition_with_unknown_members(), {})
    wire = Wire(REGISTERED)
    assert wire.services.register(stored_definition, "web", "f" * 64, {"team": "web"}) == "arn:registered"
    (body,) = wire.sent
    tags = [{"key": "rollback:release", "value": "f" * 64}, {"key": "team", "value": "web"}]
    assert body == {**stored_definition, "family": "web", "tags": tags}


def test_members_that_ecs_refuses_are_left_out() -> None:
    refusal = (400, {"__type": "ClientException", "message": "unknown member"})
    wire = Wire(refusal, REGISTERED)
    assert (
        wire.services.register(normalised_definition(definition_with_unknown_members(), {}), "web", "f" * 64)
        == "arn:registered"
    )
    assert "ofTomorrow" in wire.sent[0]
    assert "ofTomorrow" not in json.dumps(wire.sent[1])


def test_a_definition_of_known_members_is_sent_once_and_its_refusal_is_raised() -> None:
    wire = Wire((400, {"__type": "ClientException", "message": "no such role"}))
    with pytest.raises(CallRefused, match="no such role"):
        wire.services.register(normalised_definition(definition("v1"), {}), "web", "f" * 64)
    assert len(wire.sent) == 1


def test_a_null_member_of_a_definition_is_dropped() -> None:
    """Another emulator answers with null members; the SDK refuses to send a null member."""
    answer = {**definition_with_unknown_members(), "runtimePlatform": None, "ofTomorrow": {"enabled": None}}
    answer["containerDefinitions"][0]["healthCheck"]["ofTomorrow"] = None
    wire = Wire((200, {"taskDefinition": answer}), REGISTERED)
    task_definition = wire.services.definition("web")
    assert task_definition is not None
    assert wire.services.register(normalised_definition(task_definition, {}), "web", "f" * 64) == "arn:registered"
    assert "null" not in json.dumps(wire.sent)
