"""Chat messages in the format of each receiver. Text from outside stays text in each of them.

- Slack: facts are `plain_text`, which has no markup. Commands are `mrkdwn`, where `&`, `<` and `>` are escaped.
  Limits: 150 characters of a header, 3,000 of a section (https://docs.slack.dev/reference/block-kit/blocks,
  https://docs.slack.dev/messaging/formatting-message-text).
- Microsoft Teams: each line is a `TextRun`, whose text has no markdown. A message has at most 28 KB
  (https://adaptivecards.io/explorer/TextRun.html, https://learn.microsoft.com/en-us/connectors/teams/).
- Amazon Q Developer in chat applications renders the markdown of the chat, so markup is replaced
  (https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from rollback.delivery.chat.message import ChatMessage
from rollback.domain.settings.chat import WebhookKind
from rollback.errors import CallRefused
from rollback.text import truncate

SIGNATURE_HEADER, TIMESTAMP_HEADER = "X-Rollback-Signature", "X-Rollback-Timestamp"
_SLACK_HEADER, _SLACK_SECTION = 150, 3_000
_TEAMS_LINE = 600
_CHATBOT_TITLE, _CHATBOT_TEXT = 250, 2_500
_PORT = 443
_LINK = re.compile(r"https://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{1,4000}", re.ASCII)  # the characters of RFC 3986
_LINK_TITLE = "Open the report (for an hour)"
_HOSTS = {
    WebhookKind.SLACK: ("hooks.slack.com", "hooks.slack-gov.com"),
    # A leading dot allows any host below: Power Automate gives each workflow or region a host of its own.
    WebhookKind.TEAMS: (".logic.azure.com", ".api.powerplatform.com", "api.powerautomate.com"),
}
_MARKUP = str.maketrans({"<": "‹", ">": "›", "`": "ʼ"})


def check_url(url: str, kind: WebhookKind) -> None:
    """Require HTTPS, and for Slack and Teams one of their hosts. No text names the URL.

    Raises:
        CallRefused: the URL is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, port, has_user = parts.hostname or "", parts.port, parts.username is not None
    except ValueError:
        parts, host, port, has_user = urlsplit(""), "", None, False
    hosts = _HOSTS.get(kind)
    is_known = hosts is None or any(host.endswith(name) if name[0] == "." else host == name for name in hosts)
    if parts.scheme != "https" or not host or has_user or (hosts is not None and port not in (None, _PORT)):
        raise CallRefused("the webhook's URL is no HTTPS URL: put the URL that the chat gave into its secret")
    if not is_known:
        raise CallRefused(
            f"the host of the webhook's URL is none of {', '.join(hosts or ())}: put the URL that {kind} gave into "
            "its secret, or set kind generic"
        )


def webhook_body(message: ChatMessage, kind: WebhookKind) -> bytes:
    """Return the JSON body of a message for a webhook."""
    formats = {WebhookKind.SLACK: slack, WebhookKind.TEAMS: teams, WebhookKind.GENERIC: generic}
    return json.dumps(formats[kind](message)).encode()


def slack(message: ChatMessage) -> dict[str, Any]:
    """Format a message as Block Kit."""
    facts = truncate("\n".join(message.lines) or "no facts were recorded", _SLACK_SECTION)
    commands = "\n".join(_escape_mrkdwn(command) for command in message.commands)
    blocks = [
        {"type": "header", "text": _plain(truncate(message.title, _SLACK_HEADER))},
        {"type": "section", "text": _plain(facts)},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"```{commands}```"}},
    ]
    link = f"<{_escape_mrkdwn(message.report_url)}|{_LINK_TITLE}>"
    if _is_link(message.report_url) and len(link) <= _SLACK_SECTION:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    return {"text": _escape_mrkdwn(message.title), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def teams(message: ChatMessage) -> dict[str, Any]:
    """Format a message as an Adaptive Card, in the envelope that a Teams workflow reads."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _text_run(message.title, weight="Bolder", size="Medium"),
            *(_text_run(line) for line in message.lines),
            *(_text_run(command, fontType="Monospace") for command in message.commands),
        ],
    }
    if _is_link(message.report_url):
        card["actions"] = [{"type": "Action.OpenUrl", "title": _LINK_TITLE, "url": message.report_url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def generic(message: ChatMessage) -> dict[str, Any]:
    """Format a message as plain JSON (`docs/notifications.md`)."""
    return {
        "version": 1,
        "message_id": message.message_id,
        "rollback_id": message.thread,
        "event_type": message.event_type,
        "needs_operator": message.is_page,
        "title": message.title,
        "lines": list(message.lines),
        "commands": list(message.commands),
        "report_url": message.report_url or None,
    }


def chatbot(message: ChatMessage) -> dict[str, Any]:
    """Format a message as a custom notification of Amazon Q Developer in chat applications."""
    text = "\n".join(message.lines).translate(_MARKUP)
    return {
        "version": "1.0",
        "source": "custom",
        "id": message.message_id,
        "content": {
            "textType": "client-markdown",
            "title": truncate(message.title.translate(_MARKUP), _CHATBOT_TITLE),
            "description": f"```\n{truncate(text, _CHATBOT_TEXT)}\n```",
            "nextSteps": [f"`{command.translate(_MARKUP)}`" for command in message.commands],
        },
        "metadata": {
            "threadId": message.thread,
            "summary": truncate(message.title.translate(_MARKUP), _CHATBOT_TITLE),
            "eventType": message.event_type,
        },
    }


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the headers that prove sender and time: HMAC-SHA256 of `v1:<seconds since 1970>:<body>`.

    A receiver computes the same, compares in constant time, and refuses a time that is minutes old.
    """
    seconds = str(int(now.timestamp()))
    digest = hmac.new(secret.encode(), b":".join((b"v1", seconds.encode(), body)), hashlib.sha256).hexdigest()
    return {TIMESTAMP_HEADER: seconds, SIGNATURE_HEADER: f"v1={digest}"}


def _is_link(url: str) -> bool:
    """Whether a text is an HTTPS URL without a character that could end a link of a chat."""
    return _LINK.fullmatch(url) is not None


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escape_mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "ʼ")


def _text_run(text: str, **style: str) -> dict[str, Any]:
    # `{{` would begin a date or a template's expression.
    shown = truncate(text, _TEAMS_LINE).replace("{", "{\u200b")
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": shown, **style}]}
