"""Every place where the product writes, as text: a search for a secret must look at all of them."""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from e2e.live import DeployedEnvironment

from local_cloud.listing import list_all

_GZIP = b"\x1f\x8b"


class Inbox:
    """Queue that receives every message of our topics, as AWS delivers it."""

    def __init__(self, deployed: DeployedEnvironment) -> None:
        self._sqs, sns = deployed.client("sqs"), deployed.client("sns")
        self._queue = self._sqs.create_queue(QueueName="searched")["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        for topic in (deployed.deployed.topic_arn, deployed.deployed.critical_topic_arn):
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=answer["Attributes"]["QueueArn"])
        self._bodies: list[str] = []

    def bodies(self) -> list[str]:
        """Return all messages so far."""
        request = {"QueueUrl": self._queue, "MaxNumberOfMessages": 10}
        while messages := self._sqs.receive_message(**request).get("Messages", []):
            for message in messages:
                self._bodies.append(message["Body"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._bodies)


def log_events(deployed: DeployedEnvironment) -> Iterator[tuple[str, str]]:
    """Yield every event of every log group, with the group's name."""
    logs = deployed.client("logs")
    for group in list_all(logs, "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        for event in list_all(logs, "filter_log_events", "events", logGroupName=name):
            yield name, event["message"]


def ledger_items(deployed: DeployedEnvironment) -> Iterator[str]:
    """Yield every item of the ledger with all its attributes; compressed ones unpacked."""
    for item in list_all(deployed.client("dynamodb"), "scan", "Items", TableName=deployed.deployed.ledger_table):
        yield json.dumps(item, default=_unpacked)


def _unpacked(value: Any) -> str:
    content = bytes(value)
    return (gzip.decompress(content) if content.startswith(_GZIP) else content).decode()


def execution_histories(deployed: DeployedEnvironment) -> Iterator[tuple[str, str]]:
    """Yield the events so far of every execution, with the name of its state machine. A bake goes on meanwhile."""
    states = deployed.client("stepfunctions")
    for machine in list_all(states, "list_state_machines", "stateMachines"):
        arn = machine["stateMachineArn"]
        for execution in list_all(states, "list_executions", "executions", stateMachineArn=arn):
            query = {"executionArn": execution["executionArn"], "includeExecutionData": True}
            (newest,) = states.get_execution_history(**query, reverseOrder=True, maxResults=1)["events"]
            pages = states.get_paginator("get_execution_history").paginate(**query, PaginationConfig={"PageSize": 1000})
            for event in (event for page in pages for event in page["events"]):
                yield machine["name"], json.dumps(event, default=str)
                if event["id"] >= newest["id"]:
                    break


def stored_objects(deployed: DeployedEnvironment) -> Iterator[str]:
    """Yield the key and the content of every stored report."""
    s3, bucket = deployed.client("s3"), deployed.deployed.report_bucket
    assert bucket is not None
    for entry in list_all(s3, "list_objects_v2", "Contents", Bucket=bucket):
        content = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        text = gzip.decompress(content) if content.startswith(_GZIP) else content
        yield f"{entry['Key']}\n{text.decode()}"


def function_settings(deployed: DeployedEnvironment) -> Iterator[str]:
    """Yield the environment variables of every function."""
    for function in list_all(deployed.client("lambda"), "list_functions", "Functions"):
        yield json.dumps(function.get("Environment", {}))


def contains(text: str, secret: str) -> bool:
    """Whether a text has the secret, as it is or as a URL encodes it."""
    return secret in text or quote(secret, safe="") in text
