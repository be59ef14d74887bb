"""Targets of a rule: Step Functions, Lambda, SNS, SQS and CloudWatch Logs, called with the target's own role."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID

from local_cloud.iam import credentials

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
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    entry = {"timestamp": int(time.time() * 1000), "message": payload}
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[entry])


_CALLS: dict[str, tuple[str, Call]] = {
    "states": ("stepfunctions", _start_execution),
    "lambda": ("lambda", _invoke),
    "sns": ("sns", _publish),
    "sqs": ("sqs", _send),
    "logs": ("logs", _write_log),
}
