"""Chat channels of Amazon Q Developer in chat applications, formerly AWS Chatbot.

The service shows a plain text of SNS nowhere: it knows the messages of AWS services, and custom notifications in a
format of their own (https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html). The mails of the other
topics are plain text. So messages for chats have a topic of their own, which no mail address subscribes to. The channel
also subscribes to the critical topic, for CloudWatch's alarms on the rollback system; reports on that topic stay mails.

The channel's role has no permission, and its guardrail denies everything, since a guardrail that is left out allows
administrators' access (`GuardrailPolicies`, AWS::Chatbot::SlackChannelConfiguration). So nobody in the channel can
run a command of AWS.
"""

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from rollback.domain.settings.chat import ChatSettings

_SERVICE = "chatbot.amazonaws.com"


class Chat(Construct):
    """Creates the topic for chats (`topic`), the role, and a configuration for each channel of the settings."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        settings: ChatSettings,
        critical: sns.ITopic,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.topic = sns.Topic(self, "Topic", topic_name=f"{prefix}-rollbacks-chat", enforce_ssl=True, master_key=key)
        self._role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(_SERVICE),
            description="Role of a chat channel that shows messages about rollbacks; it may do nothing",
        )
        self._guardrails = [f"arn:{Stack.of(self).partition}:iam::aws:policy/AWSDenyAll"]
        self._create_channels(prefix, settings, [self.topic.topic_arn, critical.topic_arn])

    def _create_channels(self, prefix: str, settings: ChatSettings, topic_arns: Sequence[str]) -> None:
        slack, teams = settings.slack_channel, settings.teams_channel
        if slack is not None:
            chatbot.CfnSlackChannelConfiguration(
                self,
                "Slack",
                configuration_name=f"{prefix}-rollback-slack",
                iam_role_arn=self._role.role_arn,
                guardrail_policies=self._guardrails,
                slack_workspace_id=slack.workspace_id,
                slack_channel_id=slack.channel_id,
                sns_topic_arns=topic_arns,
                logging_level="ERROR",
            )
        if teams is not None:
            chatbot.CfnMicrosoftTeamsChannelConfiguration(
                self,
                "Teams",
                configuration_name=f"{prefix}-rollback-teams",
                iam_role_arn=self._role.role_arn,
                guardrail_policies=self._guardrails,
                team_id=teams.team_id,
                teams_tenant_id=teams.tenant_id,
                teams_channel_id=teams.channel_id,
                sns_topic_arns=topic_arns,
                logging_level="ERROR",
            )
