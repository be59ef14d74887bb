"""Targets of a rule: Step Functions, Lambda, SNS, SQS and CloudWatch Logs, called with the target's own role."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from moto.core import DEFAULT_ACCOUNT_ID

from local_cloud.iam import credentials
from local_cloud.iam.policies import allows
from local_cloud.listing import list_all

_PRINCIPAL = "events.amazonaws.com"
Call = Callable[[Any, str, str, dict[str, Any]], None]


class UnsupportedTarget(Exception):
    """The embedded cloud does not deliver to this service."""


def call(target: dict[str, Any], payload: str, event: dict[str, Any]) -> None:
    """Deliver once.

    Raises:
        ClientError: the target refuses.
        UnsupportedTarget: the embedded cloud does not deliver to this service.
    """
    arn: str = target["Arn"]
    service, region = arn.split(":")[2:4]
    if service not in _CALLS:
        raise UnsupportedTarget(f"the embedded cloud does not deliver to {service}: {arn}")
    client_name, deliver = _CALLS[service]
    deliver(credentials.service_client(client_name, region, target.get("RoleArn")), arn, payload, event)


def queue_url(arn: str) -> str:
    """Return the URL of an SQS queue by its ARN."""
    account, name = arn.split(":")[4:6]
    return f"{credentials.endpoint()}/{account or DEFAULT_ACCOUNT_ID}/{name}"


def _start_execution(client: Any, arn: str, payload: str, event: dict[str, Any]) -> None:
    client.start_execution(stateMachineArn=arn, name=f"{event['id']}_{uuid.uuid4()}", input=payload)


def _invoke(client: Any, arn: str, payload: str, _event: dict[str, Any]) -> None:
    client.invoke(FunctionName=arn, InvocationType="Event", Payload=payload.encode())


def _publish(client: Any, arn: str, payload: str, _event: dict[str, Any]) -> None:
    client.publish(TopicArn=arn, Message=payload)


def _send(client: Any, arn: str, payload: str, _event: dict[str, Any]) -> None:
    client.send_message(QueueUrl=queue_url(arn), MessageBody=payload)


def _write_log(client: Any, arn: str, payload: str, _event: dict[str, Any]) -> None:
    group, stream = arn.split(":")[6], str(uuid.uuid4())
    _require_resource_policy(client, f"{arn}:log-stream:{stream}")
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    entry = {"timestamp": int(time.time() * 1000), "message": payload}
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[entry])


def _require_resource_policy(client: Any, stream_arn: str) -> None:
    """Refuse unless a resource policy of CloudWatch Logs lets EventBridge write.

    EventBridge has no role for this target (user guide, "Using resource-based policies for Amazon EventBridge").

    Raises:
        ClientError: no policy allows it.
    """
    policies = list_all(client, "describe_resource_policies", "resourcePolicies")
    documents = [json.loads(policy["policyDocument"]) for policy in policies]
    of_eventbridge = [
        {"Statement": [statement for statement in document["Statement"] if _names_eventbridge(statement)]}
        for document in documents
    ]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if not allows(of_eventbridge, action, stream_arn, {}):
            message = f"no resource policy lets {_PRINCIPAL} call {action} on {stream_arn}"
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, action)


def _names_eventbridge(statement: dict[str, Any]) -> bool:
    services = (statement.get("Principal") or {}).get("Service", [])
    return _PRINCIPAL in ([services] if isinstance(services, str) else services)


_CALLS: dict[str, tuple[str, Call]] = {
    "states": ("stepfunctions", _start_execution),
    "lambda": ("lambda", _invoke),
    "sns": ("sns", _publish),
    "sqs": ("sqs", _send),
    "logs": ("logs", _write_log),
}
