"""Chat messages: what they say, and that hostile text stays text in every format."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes.aws.report_store import FakeReportStore
from fakes.aws.secrets import FakeSecrets
from fakes.webhooks import FakeWebhooks
from pydantic import SecretStr
from simulations.fake_ports import SETTINGS, make_ports
from simulations.github_deliveries import gate
from support.builders import NOW, release, rollback

from rollback.check import Check
from rollback.delivery.chat.channels import ChatbotChannel, ChatChannel
from rollback.delivery.chat.formats import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    chatbot,
    check_url,
    generic,
    sign,
    slack,
    teams,
    webhook_body,
)
from rollback.delivery.chat.message import ChatMessage, chat_message, message_key
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.delivery.phase import Phase
from rollback.domain.plan import Plan
from rollback.domain.request import Request, Trigger
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.chat import ChatSettings, ChatWebhook, SlackChannel, WebhookKind
from rollback.errors import CallRefused
from rollback.ports.all_ports import AllPorts

URL_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-url-AbCdEf"
KEY_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-key-AbCdEf"
LINK = "https://reports.s3.eu-west-1.amazonaws.com/production/api/x/report.html?X-Amz-Expires=3600&X-Amz-Signature=0a"
HOSTILE = "<!channel> *bold* `code` [link](https://evil.test) <https://evil.test|x> {{DATE(2026)}} & @here ```"
CARRIED = gate(DecisionKind.APPROVED).model_copy(update={"carried_from": "an earlier rollback"})
ENDED = rollback(
    outcome=Outcome.FAILED,
    reason="v1 did not become healthy",
    concluded_at=NOW,
    plan=Plan(running=release("v2"), target=release("v1"), checks=()),
    service=ServiceProgress(started_at=NOW, escalation_level_since=NOW, acted_at=NOW),
)


def hostile() -> Rollback:
    checks = tuple(Check.failed(f"check-{number}", HOSTILE) for number in range(9))
    plan = Plan(running=release("v2"), target=release("v1"), checks=checks)
    request = Request(service="express-api", reason=HOSTILE * 5, requested_by=HOSTILE)
    return ENDED.evolve(plan=plan, request=request, reason=HOSTILE * 15)


def texts(value: Any) -> list[str]:
    """Collect all texts of a JSON value."""
    if isinstance(value, str):
        return [value]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for member in members for text in texts(member)]


def ports_for(webhook: ChatWebhook | None = None, url: str = "https://hooks.slack.com/services/T/B/x") -> AllPorts:
    chat = ChatSettings(webhook=webhook, slack_channel=SlackChannel(workspace_id="T0", channel_id="C0"))
    secrets = FakeSecrets()
    secrets.values |= {URL_ARN: SecretStr(url), KEY_ARN: SecretStr("a key")}
    return make_ports(settings=SETTINGS.model_copy(update={"chat": chat}), secrets=secrets)


def posted(ports: AllPorts) -> FakeWebhooks:
    assert isinstance(ports.webhooks, FakeWebhooks)
    return ports.webhooks


def test_a_request_for_an_approval_has_the_commands_to_decide() -> None:
    message = chat_message(ENDED.evolve(outcome=None, concluded_at=None), Phase.APPROVAL_REQUESTED)
    assert message.title == "[production] service rollback of express-api: waits for an approval"
    assert "Plan: v2 → v1" in message.lines
    assert message.commands[0] == f"rollback approve production {ENDED.id} --reason '…'"
    assert message.commands[1] == f"rollback reject production {ENDED.id} --reason '…'"


def test_a_message_has_ten_lines_at_most() -> None:
    message = chat_message(hostile(), Phase.CONCLUDED)
    assert len(message.lines) <= 10
    assert "6 more checks warn or fail" in message.lines


@pytest.mark.parametrize(
    ("document", "is_sent"),
    [
        (ENDED, True),
        (ENDED.evolve(concluded_at=None), False),
        (ENDED.evolve(request=Request(service="express-api", dry_run=True)), False),
        (rollback(outcome=Outcome.SUPPRESSED, concluded_at=NOW), False),
        (rollback(outcome=Outcome.SUPPRESSED, concluded_at=NOW, trigger=Trigger.MANUAL), True),
        (rollback(outcome=Outcome.REFUSED, concluded_at=NOW), True),
        (rollback(outcome=Outcome.REJECTED, concluded_at=NOW, approval=gate(DecisionKind.REJECTED)), True),
        (
            rollback(
                outcome=Outcome.ABORTED, concluded_at=NOW, approval=gate(DecisionKind.SUPERSEDED), taken_over_by="x"
            ),
            True,
        ),
        (rollback(outcome=Outcome.REJECTED, concluded_at=NOW, approval=CARRIED), False),
    ],
    ids=[
        "failed",
        "running",
        "dry run",
        "suppressed alarm",
        "suppressed request",
        "refused",
        "rejected at its gate",
        "superseded at its gate",
        "asked nobody",
    ],
)
def test_only_news_for_people_are_sent(document: Rollback, is_sent: bool) -> None:
    assert (message_key(document) is not None) is is_sent


def test_an_equal_result_of_a_further_evaluation_is_no_news() -> None:
    event = TriggerEvent(id="e1", at=NOW, alarm="express-api-degraded")
    refused = rollback(outcome=Outcome.REFUSED, concluded_at=NOW, event=event)
    assert message_key(refused.evolve(evaluations=2)) == message_key(refused)
    assert message_key(refused.evolve(evaluations=2, outcome=Outcome.FAILED)) != message_key(refused)
    assert message_key(ENDED.evolve(evaluations=2, event=event)) != message_key(ENDED.evolve(event=event))


def test_slack_shows_hostile_text_as_text_within_its_limits() -> None:
    payload = slack(chat_message(hostile(), Phase.CONCLUDED))
    blocks = payload["blocks"]
    header, facts, commands = blocks
    assert header["text"]["type"] == facts["text"]["type"] == "plain_text"
    assert len(header["text"]["text"]) <= 150
    assert len(facts["text"]["text"]) <= 3_000
    assert len(blocks) <= 50
    assert HOSTILE in facts["text"]["text"]
    assert "<" not in payload["text"] + commands["text"]["text"]


def test_a_hostile_name_in_a_command_can_not_leave_slacks_code_block() -> None:
    message = ChatMessage("id", "r", "rollback.concluded", "<!here> & co", (), (HOSTILE,), is_page=True)
    payload = slack(message)
    text = payload["blocks"][2]["text"]["text"]
    assert text.startswith("```")
    assert text.endswith("```")
    assert "`" not in text[3:-3]
    assert "<" not in text
    assert payload["text"] == "&lt;!here&gt; &amp; co"


def test_teams_gets_a_card_of_text_runs_which_have_no_markdown() -> None:
    payload = teams(chat_message(hostile(), Phase.CONCLUDED))
    (attachment,) = payload["attachments"]
    body = attachment["content"]["body"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {element["type"] for element in body} == {"RichTextBlock"}
    assert {run["type"] for element in body for run in element["inlines"]} == {"TextRun"}
    assert not [text for text in texts(body) if "{{" in text]
    assert len(json.dumps(payload).encode()) < 28_000


@pytest.mark.parametrize("schema", ["adaptive-card-1.4"])
def test_teams_card_keeps_the_published_schema(schema: str) -> None:
    """The subset of the schema at https://adaptivecards.io/schemas/adaptive-card.json for the used elements."""
    allowed = {
        "AdaptiveCard": {"$schema", "type", "version", "body", "actions"},
        "Action.OpenUrl": {"type", "title", "url"},
        "RichTextBlock": {"type", "inlines"},
        "TextRun": {"type", "text", "weight", "size", "fontType"},
    }
    card = teams(chat_message(hostile(), Phase.CONCLUDED, LINK))["attachments"][0]["content"]
    elements = [card, *card["actions"], *card["body"], *(run for element in card["body"] for run in element["inlines"])]
    assert [element for element in elements if set(element) - allowed[element["type"]]] == []
    assert card["version"] == schema.rpartition("-")[2]


def test_chatbot_gets_a_custom_notification_without_markup() -> None:
    payload = chatbot(chat_message(hostile(), Phase.CONCLUDED))
    assert (payload["version"], payload["source"]) == ("1.0", "custom")
    assert payload["metadata"]["threadId"] == ENDED.id
    description = payload["content"]["description"]
    assert "`" not in description.removeprefix("```").removesuffix("```")
    assert not [text for text in texts(payload) if "<" in text]


def test_a_generic_message_is_plain_json() -> None:
    payload = generic(chat_message(ENDED, Phase.CONCLUDED))
    assert payload["version"] == 1
    assert payload["needs_operator"] is True
    assert json.loads(webhook_body(chat_message(ENDED, Phase.CONCLUDED), WebhookKind.GENERIC)) == payload


def test_an_end_carries_the_link_to_the_report_beside_the_command() -> None:
    message = chat_message(ENDED, Phase.CONCLUDED, LINK)
    assert f"rollback report production {ENDED.id}" in message.commands
    link = slack(message)["blocks"][-1]["text"]["text"]
    assert link == f"<{LINK.replace('&', '&amp;')}|Open the report (for an hour)>"
    (action,) = teams(message)["attachments"][0]["content"]["actions"]
    assert action["url"] == LINK
    assert generic(message)["report_url"] == LINK


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://reports.test", f"{LINK}>|<!channel>", LINK * 200])
def test_what_is_no_link_of_a_usual_length_is_left_out_and_the_command_stays(url: str) -> None:
    message = chat_message(ENDED, Phase.CONCLUDED, url)
    assert len(slack(message)["blocks"]) == 3
    assert "actions" not in teams(message)["attachments"][0]["content"]
    assert f"rollback report production {ENDED.id}" in slack(message)["blocks"][-1]["text"]["text"]


def test_a_topic_gets_the_command_and_no_link() -> None:
    ports = replace(ports_for(), report_store=FakeReportStore(is_made=True))
    ChatbotChannel().send(ENDED, None, ports)
    (text,) = ports.notifications.chat  # type: ignore[attr-defined]
    assert f"rollback report production {ENDED.id}" in text
    assert "https://" not in text


def test_a_webhook_gets_the_link_of_an_environment_that_stores_reports() -> None:
    webhook = ChatWebhook(kind=WebhookKind.GENERIC, url_secret_arn=URL_ARN)
    for store, prefix in ((FakeReportStore(is_made=True), "https://"), (FakeReportStore(), "None")):
        ports = replace(ports_for(webhook), report_store=store)
        ChatChannel().send(ENDED, None, ports)
        assert str(json.loads(posted(ports).posted[-1].body)["report_url"]).startswith(prefix)


def test_a_signature_covers_body_and_time() -> None:
    headers = sign(b"{}", "a key", NOW)
    assert headers[TIMESTAMP_HEADER] == str(int(NOW.timestamp()))
    others = [sign(b"[]", "a key", NOW), sign(b"{}", "another", NOW), sign(b"{}", "a key", NOW.replace(year=2027))]
    assert headers[SIGNATURE_HEADER] not in [other[SIGNATURE_HEADER] for other in others]
    assert headers[SIGNATURE_HEADER].startswith("v1=")


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (WebhookKind.SLACK, "https://hooks.slack.com/services/T/B/x"),
        (WebhookKind.TEAMS, "https://prod-01.westeurope.logic.azure.com:443/workflows/x/triggers?sig=y"),
        (WebhookKind.TEAMS, "https://default1.2.environment.api.powerplatform.com:443/powerautomate/x"),
        (WebhookKind.GENERIC, "https://hooks.example.test:8443/x"),
    ],
)
def test_the_url_of_a_known_host_is_allowed(kind: WebhookKind, url: str) -> None:
    check_url(url, kind)


@pytest.mark.parametrize("kind", WebhookKind)
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/token",
        "https://user:token@hooks.slack.com/",
        "https:///token",
        "token",
        "https://[token",
        "https://hooks.slack.com:token/",
    ],
)
def test_a_url_that_is_not_allowed_is_refused_without_its_text(kind: WebhookKind, url: str) -> None:
    with pytest.raises(CallRefused) as refusal:
        check_url(url, kind)
    assert "token" not in str(refusal.value)


@pytest.mark.parametrize("host", ["hooks.slack.com.evil.test", "evil-logic.azure.com.test", "169.254.169.254", "x"])
@pytest.mark.parametrize("kind", [WebhookKind.SLACK, WebhookKind.TEAMS])
def test_another_host_is_refused_for_slack_and_teams(kind: WebhookKind, host: str) -> None:
    with pytest.raises(CallRefused, match="host of the webhook's URL"):
        check_url(f"https://{host}/x", kind)


def test_a_message_is_posted_to_the_url_in_the_secret_and_signed() -> None:
    webhook = ChatWebhook(kind=WebhookKind.GENERIC, url_secret_arn=URL_ARN, signing_secret_arn=KEY_ARN)
    ports = ports_for(webhook)
    ChatChannel().send(ENDED, None, ports)
    (request,) = posted(ports).posted
    assert request.url.get_secret_value() == "https://hooks.slack.com/services/T/B/x"
    assert request.headers == dict(sign(request.body, "a key", NOW))


@pytest.mark.parametrize("space", ["\n", "\r\n", " "])
def test_a_url_that_was_stored_with_a_new_line_is_posted_to_without_it(space: str) -> None:
    url = "https://hooks.slack.com/services/T/B/x"
    ports = ports_for(ChatWebhook(kind=WebhookKind.SLACK, url_secret_arn=URL_ARN), url + space)
    ChatChannel().send(ENDED, None, ports)
    (request,) = posted(ports).posted
    assert request.url.get_secret_value() == url


def test_a_url_of_another_host_is_not_posted_to() -> None:
    ports = ports_for(ChatWebhook(kind=WebhookKind.TEAMS, url_secret_arn=URL_ARN))
    with pytest.raises(CallRefused):
        ChatChannel().send(ENDED, None, ports)
    assert posted(ports).posted == []


def test_the_chatbot_channel_publishes_a_custom_notification() -> None:
    ports = ports_for()
    ChatbotChannel().send(ENDED, None, ports)
    (text,) = ports.notifications.chat  # type: ignore[attr-defined]
    assert json.loads(text)["source"] == "custom"


def test_without_settings_no_message_is_wanted() -> None:
    assert ChatChannel().key(ENDED, make_ports()) is None
    assert ChatbotChannel().key(ENDED, make_ports()) is None


def test_only_a_generic_webhook_may_have_a_signing_key() -> None:
    with pytest.raises(ValueError, match="signing_secret_arn is for kind generic"):
        ChatWebhook(kind=WebhookKind.SLACK, url_secret_arn=URL_ARN, signing_secret_arn=KEY_ARN)
