"""The list of all channels. Each line is one channel; a channel that the settings leave out gives no key."""

from rollback.delivery.channel import DeliveryChannel
from rollback.delivery.github.commit_status import CommitStatusChannel
from rollback.delivery.github.deployment_status import DeploymentStatusChannel
from rollback.delivery.github.issue import IssueChannel

CHANNELS: tuple[DeliveryChannel, ...] = (
    CommitStatusChannel(),
    DeploymentStatusChannel(),
    IssueChannel(),
)
