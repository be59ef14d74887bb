"""The list of all channels. Each line is one channel; a channel that the settings leave out gives no key.

Channels are sent in this order. The stored report comes first, so that a link in a later message finds the page.
"""

from rollback.delivery.channel import DeliveryChannel
from rollback.delivery.chat.channels import ChatbotChannel, ChatChannel
from rollback.delivery.events import EventsChannel
from rollback.delivery.github.commit_status import CommitStatusChannel
from rollback.delivery.github.deployment_status import DeploymentStatusChannel
from rollback.delivery.github.issue import IssueChannel
from rollback.delivery.issue_report import issue_report
from rollback.domain.delivery.delivery import Channel
from rollback.stored_report.channel import StoredReport

CHANNELS: tuple[DeliveryChannel, ...] = (
    StoredReport(),
    EventsChannel(),
    CommitStatusChannel(),
    DeploymentStatusChannel(),
    IssueChannel(render=issue_report),
    ChatChannel(),
    ChatbotChannel(),
)
# The runner emits events by itself; only the janitor emits a lost one again.
CHANNELS_WITHOUT_EVENTS: tuple[DeliveryChannel, ...] = tuple(c for c in CHANNELS if c.name is not Channel.EVENTS)
