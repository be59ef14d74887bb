"""Somebody on call: gets what is published on the critical topic."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """One message as a person gets it."""

    subject: str
    text: str


class Pager:
    """A queue that is subscribed to the topic, kept read."""

    def __init__(self, sns: Any, sqs: Any, topic_arn: str) -> None:
        self._sqs = sqs
        self._queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
        answer = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=answer["Attributes"]["QueueArn"])
        self._pages: list[Page] = []

    def pages(self) -> list[Page]:
        """All so far, in the order in which they came."""
        while found := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                body = json.loads(message["Body"])
                self._pages.append(Page(body.get("Subject", ""), _readable(body["Message"])))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._pages)


def _readable(message: str) -> str:
    """Of an alarm's own message, which is JSON, what it says; of any other, all."""
    try:
        alarm = json.loads(message)
    except ValueError:
        return message
    return f"{alarm['AlarmDescription']}\n{alarm['NewStateReason']}"
