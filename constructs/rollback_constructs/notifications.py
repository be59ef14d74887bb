"""Where people are told: every outcome on one topic, what needs a person now on another.

A topic policy replaces the one that SNS makes by itself, and with it the permission that CloudWatch publishes by: an
alarm's action would fail unseen (https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger).
With a key of the team's own, that key's policy has to let CloudWatch use it as well: `docs/deploying.md`.
"""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


class Notifications(Construct):
    """`rollbacks` gets a report of every rollback, `critical` what failed or can't be done by itself."""

    def __init__(self, scope: Construct, id_: str, *, prefix: str, key: kms.IKey | None = None) -> None:
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
