"""Chat channels of Amazon Q Developer: their topic, and a role that may do nothing."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_sns as sns

from rollback.domain.settings.chat import ChatSettings, SlackChannel, TeamsChannel
from rollback_constructs.messages.chat import Chat
from rollback_constructs.settings.environment import Configuration, InvalidSettings

SLACK = SlackChannel(workspace_id="T0123ABC", channel_id="C0123ABC")
TEAMS = TeamsChannel(
    team_id="11111111-2222-3333-4444-555555555555",
    tenant_id="11111111-2222-3333-4444-555555555556",
    channel_id="19%3Aabc%40thread.tacv2",
)


@pytest.fixture
def template() -> assertions.Template:
    stack = cdk.Stack()
    critical = sns.Topic(stack, "Critical")
    Chat(
        stack,
        "Chat",
        prefix="macro-ai-production",
        settings=ChatSettings(slack_channel=SLACK, teams_channel=TEAMS),
        critical=critical,
    )
    return assertions.Template.from_stack(stack)


def properties(template: assertions.Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template.find_resources(kind).values()]


def channels(template: assertions.Template) -> list[dict[str, Any]]:
    kinds = ("AWS::Chatbot::SlackChannelConfiguration", "AWS::Chatbot::MicrosoftTeamsChannelConfiguration")
    return [channel for kind in kinds for channel in properties(template, kind)]


def test_each_channel_shows_the_topic_for_chats_and_the_critical_topic(template: assertions.Template) -> None:
    shown = [json.dumps(channel["SnsTopicArns"]) for channel in channels(template)]
    assert len(shown) == 2
    assert all("ChatTopic" in topics and "Critical" in topics for topics in shown)


def test_nobody_in_a_channel_may_do_anything_in_aws(template: assertions.Template) -> None:
    (role,) = properties(template, "AWS::IAM::Role")
    assert not {"Policies", "ManagedPolicyArns"} & set(role)
    template.resource_count_is("AWS::IAM::Policy", 0)
    guardrails = [json.dumps(channel["GuardrailPolicies"]) for channel in channels(template)]
    assert all("policy/AWSDenyAll" in guardrail for guardrail in guardrails)


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ({"webhook": {"kind": "irc", "url_secret_arn": "x"}}, "webhook.kind"),
        ({"webhook": {"kind": "slack", "url_secret_arn": "https://hooks.slack.com/x"}}, "url_secret_arn"),
        ({"slack_channel": {"workspace_id": "t-0", "channel_id": "C0"}}, "slack_channel.workspace_id"),
        ({"mail": "x"}, "chat.mail"),
    ],
)
def test_a_wrong_setting_fails_with_its_path(chat: dict[str, Any], message: str) -> None:
    context = json.loads((Path(__file__).parents[3] / "cdk.json").read_text())["context"]
    context["rollback:environments"] = "production"
    context["environments"] = {"production": {**context["environments"]["production"], "chat": chat}}
    with pytest.raises(InvalidSettings, match=message):
        Configuration.read(context)
