"""The pager of the operator on call: an SQS queue that is subscribed to the critical topic."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """One message as the operator receives it."""

    subject: str
    text: str


class Pager:
    """Subscribes a queue to the topic and reads it."""

    def __init__(self, sns: Any, sqs: Any, topic_arn: str) -> None:
        self._sqs = sqs
        self._queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
        answer = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=answer["Attributes"]["QueueArn"])
        self._pages: list[Page] = []

    def pages(self) -> list[Page]:
        """Return all pages so far, in the order in which they came."""
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                body = json.loads(message["Body"])
                self._pages.append(Page(body.get("Subject", ""), _readable(body["Message"])))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._pages)


def _readable(message: str) -> str:
    """Return description and reason of an alarm's message, which is JSON; any other message as it is."""
    try:
        alarm = json.loads(message)
    except ValueError:
        return message
    return f"{alarm['AlarmDescription']}\n{alarm['NewStateReason']}"
