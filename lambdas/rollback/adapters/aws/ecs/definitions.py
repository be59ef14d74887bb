"""Task definitions, read and registered with members that the bundled SDK does not know.

botocore drops answered members that its service model does not have, and refuses to send them. So newer members are
read from the answer's body, and are added to the request's body after botocore has checked the members that it knows.
"""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import code_of

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import RegisterTaskDefinitionRequestTypeDef

_BODY = "WholeTaskDefinition"  # member of the parsed answer for the definition of the body
_ADDED_BY_ECS = frozenset({"taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy"})
_REFUSAL_CODES = frozenset(
    {"ClientException", "InvalidParameterException", "SerializationException", "ValidationException"}
)
_unknown: ContextVar[Mapping[str, Any] | None] = ContextVar("members to add to a request", default=None)


def describe_definition(client: "ECSClient", arn_or_family: str) -> dict[str, Any]:
    """Return `taskDefinition` of DescribeTaskDefinition as its body has it, with its `tags`.

    Raises:
        ClientError: ECS has no such definition, or refuses.
    """
    client.meta.events.register(
        "before-parse.ecs.DescribeTaskDefinition", _keep_body, unique_id="rollback-keeps-the-body"
    )
    answer = cast(dict[str, Any], client.describe_task_definition(taskDefinition=arn_or_family, include=["TAGS"]))
    parsed, whole = answer["taskDefinition"], answer.get(_BODY, {})
    unknown = {name: value for name, value in whole.items() if name not in parsed}
    containers = _whole_containers(parsed["containerDefinitions"], whole.get("containerDefinitions", ()))
    return {**unknown, **parsed, "containerDefinitions": containers, "tags": answer.get("tags", [])}


def register_definition(
    client: "ECSClient", definition: Mapping[str, Any], family: str, tags: Mapping[str, str]
) -> str:
    """Register a definition and return its ARN; members unknown to the SDK are sent too, unless ECS refuses them.

    Raises:
        ClientError: ECS refuses the definition.
    """
    client.meta.events.register(
        "before-call.ecs.RegisterTaskDefinition", _add_unknown, unique_id="rollback-adds-unknown-members"
    )
    model = client.meta.service_model
    shape, answered = model.operation_model("RegisterTaskDefinition").input_shape, model.shape_for("TaskDefinition")
    only_answered = frozenset(cast(Any, answered).members) - frozenset(cast(Any, shape).members)
    members = {
        name: value for name, value in definition.items() if name not in {*only_answered, *_ADDED_BY_ECS, "tags"}
    }
    known_members = _drop_unknown_members(members, shape)
    request_tags = [{"key": key, "value": value} for key, value in sorted(tags.items())]
    request = cast("RegisterTaskDefinitionRequestTypeDef", {**known_members, "family": family, "tags": request_tags})
    if known_members == members:
        return _arn(client.register_task_definition(**request))
    token = _unknown.set(members)
    try:
        return _arn(client.register_task_definition(**request))
    except ClientError as error:
        if code_of(error) not in _REFUSAL_CODES:
            raise
    finally:
        _unknown.reset(token)
    return _arn(client.register_task_definition(**request))  # without the members that only ECS may set


def _arn(answer: Any) -> str:
    arn: str = answer["taskDefinition"]["taskDefinitionArn"]
    return arn


def _keep_body(response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < 300:
        customized_response_dict[_BODY] = _without_nulls(json.loads(response_dict["body"]).get("taskDefinition", {}))


def _without_nulls(value: Any) -> Any:
    """Drop members that are null, as botocore's parser does; a request must not have them."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _add_unknown(params: dict[str, Any], **_: Any) -> None:
    members = _unknown.get()
    if members is not None:
        params["body"] = json.dumps(_merge_unknown_members(members, json.loads(params["body"]))).encode()


def _whole_containers(parsed: Any, whole: Any) -> list[dict[str, Any]]:
    by_name = {container.get("name"): container for container in whole}
    return [
        cast(dict[str, Any], _merge_unknown_members(by_name.get(container["name"], {}), container))
        for container in parsed
    ]


def _merge_unknown_members(whole: Any, parsed: Any) -> Any:
    """Add the members that only `whole` has to `parsed`; lists of the same length are merged member by member."""
    if isinstance(whole, Mapping) and isinstance(parsed, Mapping):
        inner = {
            name: _merge_unknown_members(whole[name], value) if name in whole else value
            for name, value in parsed.items()
        }
        return {**{name: value for name, value in whole.items() if name not in parsed}, **inner}
    if isinstance(whole, list) and isinstance(parsed, list) and len(whole) == len(parsed):
        return [
            _merge_unknown_members(whole_member, member) for whole_member, member in zip(whole, parsed, strict=True)
        ]
    return parsed


def _drop_unknown_members(value: Any, shape: Any) -> Any:
    """Drop the members that the shape does not have."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return {
            name: _drop_unknown_members(inner, shape.members[name])
            for name, inner in value.items()
            if name in shape.members
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_drop_unknown_members(inner, shape.member) for inner in value]
    return value
