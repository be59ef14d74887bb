"""A service of the embedded cloud that is down answers nobody, delivers no event, and answers again afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment.server import LocalCloud
from local_cloud.events import rules
from local_cloud.faults import outage

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "stepfunctions": ("list_state_machines", {}),
    "dynamodb": ("list_tables", {}),
    "events": ("list_rules", {}),
    "cloudformation": ("describe_stacks", {}),
    "lambda": ("list_functions", {}),
}


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    outage.forget()


@pytest.mark.parametrize("service", CALLS)
def test_a_service_that_is_down_answers_503_and_every_other_one_answers(cloud: LocalCloud, service: str) -> None:
    operation, arguments = CALLS[service]
    call = getattr(cloud.client(service), operation)
    outage.begin(service)
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    cloud.client("sqs").list_queues()
    outage.end(service)
    assert call(**arguments)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_eventbridge_delivers_no_event_while_it_is_down(cloud: LocalCloud) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="outage")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="outage", EventPattern='{"source": ["aws.outage"]}')
    events.put_targets(Rule="outage", Targets=[{"Id": "1", "Arn": arn}])
    rules.clear_deliveries()
    outage.begin("events")
    rules.emit(cloud.account, cloud.region, "aws.outage", "Lost", {})
    outage.end("events")
    rules.emit(cloud.account, cloud.region, "aws.outage", "Delivered", {})
    message = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"][0]["Body"]
    assert '"Delivered"' in message
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
