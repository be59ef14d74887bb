"""Channels of chat messages: an incoming webhook, and the topic of Amazon Q Developer in chat applications."""

import json
from typing import Protocol

from pydantic import SecretStr

from rollback.delivery.chat.formats import chatbot, check_url, sign, webhook_body
from rollback.delivery.chat.message import chat_message, message_key
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.delivery.phase import phase_of
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.ports.holders import HasClock, HasNotifications, HasReportStore, HasSecrets, HasSettings, HasWebhooks
from rollback.stored_report.link import report_url


class WebhookPorts(HasClock, HasReportStore, HasSecrets, HasSettings, HasWebhooks, Protocol):
    """Ports to send a message to a webhook."""


class ChatbotPorts(HasNotifications, HasSettings, Protocol):
    """Ports to send a message to the topic of Amazon Q Developer in chat applications."""


class ChatChannel:
    """Channel of an incoming webhook. A chat shows a copy after a crash; its `message_id` is the same."""

    name: Channel = Channel.CHAT

    def key(self, rollback: Rollback, ports: WebhookPorts) -> str | None:
        """Name the message, if a webhook is set."""
        return message_key(rollback) if ports.settings.chat.webhook is not None else None

    def send(self, rollback: Rollback, last: Delivery | None, ports: WebhookPorts) -> str:
        """Post the message once.

        Raises:
            CallRefused: the URL in the secret is not allowed, or the webhook refuses the message.
        """
        del last
        webhook = ports.settings.chat.webhook
        if webhook is None:
            raise CallRefused("no webhook is set for chat messages")
        message = chat_message(rollback, phase_of(rollback), report_url(rollback, ports))
        secret, body = ports.secrets.read(webhook.url_secret_arn), webhook_body(message, webhook.kind)
        url = SecretStr(secret.get_secret_value().strip())  # a secret made from a file ends with a new line
        check_url(url.get_secret_value(), webhook.kind)
        headers = (
            sign(body, ports.secrets.read(webhook.signing_secret_arn).get_secret_value(), ports.clock.now())
            if webhook.signing_secret_arn is not None
            else {}
        )
        ports.webhooks.post(url, body, headers)
        return message.message_id


class ChatbotChannel:
    """Channel of the topic whose messages Amazon Q Developer shows in Slack or Teams."""

    name: Channel = Channel.CHATBOT

    def key(self, rollback: Rollback, ports: ChatbotPorts) -> str | None:
        """Name the message, if a channel is set."""
        return message_key(rollback) if ports.settings.chat.has_chatbot else None

    def send(self, rollback: Rollback, last: Delivery | None, ports: ChatbotPorts) -> str:
        """Publish the message once. It names the command: a topic passes a link on to readers that nobody knows."""
        del last
        message = chat_message(rollback, phase_of(rollback))
        ports.notifications.publish_to_chat(json.dumps(chatbot(message)))
        return message.message_id
