"""SNS topics: one for every outcome, one for what needs an operator now.

A topic policy replaces SNS's default policy, and with it CloudWatch's permission to publish. An alarm's action would
fail unnoticed (https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger). The policy of the team's
own key has to allow CloudWatch too: `docs/deploying.md`.
"""

import hashlib
from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from rollback_constructs.messages.recipients import Recipient, TopicName, by_topic


class Notifications(Construct):
    """Topics: `rollbacks` gets the report of every rollback, `critical` gets what failed or needs an operator."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        key: kms.IKey | None = None,
        recipients: Sequence[Recipient] = (),
    ) -> None:
        """Create the topics and the subscriptions.

        Args:
            scope: parent of the topics.
            id_: id of this construct.
            prefix: first part of the topics' names.
            key: key of the team's own; None: messages are not encrypted at rest.
            recipients: subscribers of the topics.
        """
        super().__init__(scope, id_)
        self.rollbacks = sns.Topic(
            self, "Rollbacks", topic_name=f"{prefix}-rollbacks", enforce_ssl=True, master_key=key
        )
        self.critical = sns.Topic(
            self, "Critical", topic_name=f"{prefix}-rollbacks-critical", enforce_ssl=True, master_key=key
        )
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{prefix}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.critical.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsPublish",
                actions=["sns:Publish"],
                resources=[self.critical.topic_arn],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                conditions={"ArnLike": {"aws:SourceArn": alarms}},
            )
        )
        self._subscribe(recipients)

    def _subscribe(self, recipients: Sequence[Recipient]) -> None:
        topics = {TopicName.CRITICAL: self.critical, TopicName.ROLLBACKS: self.rollbacks}
        for name, subscribers in by_topic(recipients).items():
            for recipient in subscribers:
                # An id by the address: another order or another recipient must not move a confirmed subscription.
                digest = hashlib.sha256(recipient.to.lower().encode()).hexdigest()[:12]
                sns.Subscription(
                    self,
                    f"{name.value.title()}{digest}",
                    topic=topics[name],
                    protocol=sns.SubscriptionProtocol(recipient.protocol.upper()),
                    endpoint=recipient.endpoint,
                )
