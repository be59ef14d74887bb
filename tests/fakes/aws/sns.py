"""Published messages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fakes.aws.request_models import check_request, refuse

from rollback.adapters.aws.reporting.sns import acceptable_message, acceptable_subject


@dataclass(frozen=True)
class SentNotification:
    """One notification."""

    subject: str
    message: str
    attributes: dict[str, str]


_SNS_BYTES = 262_144  # message and attributes together (SNS API reference, Publish)
_ATTRIBUTE_NAME = re.compile(r"(?!AWS\.|Amazon\.)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # SNS guide, "message attributes"


class FakeNotifications:
    """Store the notifications of the topic; only the adapter converts them to SNS's limits."""

    def __init__(self) -> None:
        self.sent: list[SentNotification] = []
        self.chat: list[str] = []

    def publish_to_chat(self, message: str) -> None:
        if not message or len(message.encode()) > _SNS_BYTES:
            refuse("Publish", "the topic for chats", "InvalidParameter", "Invalid parameter: Message")
        self.chat.append(message)

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        sent = SentNotification(
            acceptable_subject(subject),
            acceptable_message(message),
            {name: value for name, value in attributes.items() if value},
        )
        given = {name: {"DataType": "String", "StringValue": value} for name, value in sent.attributes.items()}
        check_request(
            "sns", "Publish", "the topic", Subject=sent.subject, Message=sent.message, MessageAttributes=given
        )
        if not sent.message:
            refuse("Publish", "the topic", "InvalidParameter", "Invalid parameter: Empty message")
        bytes_sent = sum(len(f"{name}String{value}".encode()) for name, value in sent.attributes.items())
        if bytes_sent + len(sent.message.encode()) > _SNS_BYTES:
            refuse("Publish", "the topic", "InvalidParameter", "Invalid parameter: Message too long")
        for name in sent.attributes:
            if not _ATTRIBUTE_NAME.fullmatch(name):
                refuse("Publish", "the topic", "InvalidParameterValue", f"Invalid attribute name: {name}")
        self.sent.append(sent)
