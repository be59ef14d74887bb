"""SNS: notifications to operators. Pages have a topic of their own, so that only pages wake an operator."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rollback.adapters.aws.errors import aws_call
from rollback.errors import CallRefused

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

_SUBJECT_CHARACTERS = 100  # SNS: ASCII, no line breaks, fewer than 100
_MESSAGE_BYTES = 250_000  # SNS: 256 KiB with the attributes


class SnsNotifications:
    """Adapter of both topics."""

    def __init__(
        self, client: "SNSClient", topic_arn: str, critical_topic_arn: str, chat_topic_arn: str | None = None
    ) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._critical_topic_arn = critical_topic_arn
        self._chat_topic_arn = chat_topic_arn

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        """Call Publish; subject and message are cut to the limits of SNS."""
        message_attributes: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }
        topic_arn = self._critical_topic_arn if attributes.get("severity") == "page" else self._topic_arn
        with aws_call("Publish", topic_arn):
            self._client.publish(
                TopicArn=topic_arn,
                Subject=acceptable_subject(subject),
                Message=acceptable_message(message),
                MessageAttributes=message_attributes,
            )

    def publish_to_chat(self, message: str) -> None:
        """Call Publish on the topic for chats."""
        if self._chat_topic_arn is None:
            raise CallRefused("this deployment has no topic for chats: deploy the rollback stack again")
        with aws_call("Publish", self._chat_topic_arn):
            self._client.publish(TopicArn=self._chat_topic_arn, Message=acceptable_message(message))


def acceptable_subject(subject: str) -> str:
    """Turn a subject into a line of printable ASCII with fewer than 100 characters."""
    typography = {"–": "-", "—": "-", "→": "->", "…": "...", "’": "'"}
    plain = "".join(typography.get(character, character) for character in " ".join(subject.split()))
    ascii_only = "".join(c if c.isascii() and c.isprintable() else "?" for c in plain)
    return ascii_only[: _SUBJECT_CHARACTERS - 1].strip() or "Rollback"


def acceptable_message(message: str) -> str:
    """Cut a message to SNS's limit in UTF-8; a lone surrogate, which has no UTF-8, becomes a question mark."""
    return message.encode(errors="replace")[:_MESSAGE_BYTES].decode(errors="ignore")
