"""Settings of chat messages: an incoming webhook, or channels of Amazon Q Developer in chat applications."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_ARN_PATTERN = r"^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$"


class WebhookKind(StrEnum):
    """Formats of an incoming webhook."""

    SLACK = "slack"  # an incoming webhook of a Slack app
    TEAMS = "teams"  # a webhook of a workflow in Microsoft Teams
    GENERIC = "generic"  # JSON, signed


class ChatWebhook(BaseModel):
    """An incoming webhook. Its URL is a credential, so the settings name the secret that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: WebhookKind = Field(description="format of the messages")
    url_secret_arn: str = Field(
        pattern=_ARN_PATTERN, description="secret with the webhook's URL, which is a credential"
    )
    signing_secret_arn: str | None = Field(
        default=None, pattern=_ARN_PATTERN, description="key by which messages of kind generic are signed"
    )

    @model_validator(mode="after")
    def _only_generic_is_signed(self) -> Self:
        if self.signing_secret_arn is not None and self.kind is not WebhookKind.GENERIC:
            raise ValueError(f"signing_secret_arn is for kind generic, and kind is {self.kind}: leave it out")
        return self


class SlackChannel(BaseModel):
    """A channel of a Slack workspace that the account's owner authorized in the AWS console."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace_id: str = Field(
        pattern="^[0-9A-Z]{1,255}$", description="id of the workspace, from the console of Amazon Q Developer"
    )
    channel_id: str = Field(pattern="^[A-Za-z0-9]{1,255}$", description="id of the channel, the last part of its link")


class TeamsChannel(BaseModel):
    """A channel of a team in Microsoft Teams that the account's owner authorized in the AWS console."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team_id: str = Field(pattern="^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", description="id of the team")
    tenant_id: str = Field(
        pattern="^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
        description="id of the tenant in Microsoft Entra",
    )
    channel_id: str = Field(pattern=r"^[\x21-\x7e]{1,256}$", description="URL-encoded, as the channel's link has it")


class ChatSettings(BaseModel):
    """Receivers of chat messages; without any no message is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: ChatWebhook | None = Field(
        default=None, description="an incoming webhook of Slack, Teams or another system"
    )
    slack_channel: SlackChannel | None = Field(
        default=None, description="a Slack channel of Amazon Q Developer in chat applications"
    )
    teams_channel: TeamsChannel | None = Field(
        default=None, description="a Teams channel of Amazon Q Developer in chat applications"
    )

    @property
    def has_chatbot(self) -> bool:
        """Whether Amazon Q Developer in chat applications shows the messages."""
        return self.slack_channel is not None or self.teams_channel is not None

    @property
    def secret_arns(self) -> tuple[str, ...]:
        """Secrets that the webhook needs."""
        if self.webhook is None:
            return ()
        return tuple(arn for arn in (self.webhook.url_secret_arn, self.webhook.signing_secret_arn) if arn is not None)
