"""Definitions read and registered whole, on the bytes that go over the wire: what the SDK does not know is kept."""

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
    """ECS as its bytes: one body to answer with, and the bodies that it was sent."""

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


def of_tomorrow() -> dict[str, Any]:
    """A definition with members that no SDK knows yet."""
    made = definition("v1", ofTomorrow={"enabled": True}, registeredAt=1772334000.5)
    made["containerDefinitions"][0] |= {"ofTomorrow": 1, "healthCheck": {"command": ["CMD", "true"], "ofTomorrow": 2}}
    return made


REGISTERED = (200, {"taskDefinition": {"taskDefinitionArn": "arn:registered"}})


def test_what_the_sdk_does_not_know_is_read() -> None:
    wire = Wire((200, {"taskDefinition": of_tomorrow(), "tags": [{"key": "team", "value": "web"}]}))
    found = wire.services.definition("web")
    assert found is not None
    assert found["ofTomorrow"] == {"enabled": True}
    assert found["containerDefinitions"][0]["ofTomorrow"] == 1
    assert found["containerDefinitions"][0]["healthCheck"]["ofTomorrow"] == 2
    assert found["tags"] == [{"key": "team", "value": "web"}]


def test_what_the_sdk_does_not_know_is_registered_again() -> None:
    stored = normalised_definition(of_tomorrow(), {})
    wire = Wire(REGISTERED)
    assert wire.services.register(stored, "web", "f" * 64, {"team": "web"}) == "arn:registered"
    (sent,) = wire.sent
    tags = [{"key": "rollback:release", "value": "f" * 64}, {"key": "team", "value": "web"}]
    assert sent == {**stored, "family": "web", "tags": tags}


def test_what_ecs_refuses_of_it_is_left_out() -> None:
    refusal = (400, {"__type": "ClientException", "message": "unknown member"})
    wire = Wire(refusal, REGISTERED)
    assert wire.services.register(normalised_definition(of_tomorrow(), {}), "web", "f" * 64) == "arn:registered"
    assert "ofTomorrow" in wire.sent[0]
    assert "ofTomorrow" not in json.dumps(wire.sent[1])


def test_a_definition_that_the_sdk_knows_whole_is_sent_once_and_its_refusal_is_told() -> None:
    wire = Wire((400, {"__type": "ClientException", "message": "no such role"}))
    with pytest.raises(CallRefused, match="no such role"):
        wire.services.register(normalised_definition(definition("v1"), {}), "web", "f" * 64)
    assert len(wire.sent) == 1


def test_a_member_that_is_null_is_none() -> None:
    """Another emulator answers with them; the SDK refuses to send one back."""
    made = {**of_tomorrow(), "runtimePlatform": None, "ofTomorrow": {"enabled": None}}
    made["containerDefinitions"][0]["healthCheck"]["ofTomorrow"] = None
    wire = Wire((200, {"taskDefinition": made}), REGISTERED)
    found = wire.services.definition("web")
    assert found is not None
    assert wire.services.register(normalised_definition(found, {}), "web", "f" * 64) == "arn:registered"
    assert "null" not in json.dumps(wire.sent)
