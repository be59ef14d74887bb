"""Events of ECS about tasks that failed, in a log group that metric filters count.

ECS has no metric of tasks that ended by themselves. An EventBridge rule for each service writes the events to one log
group. Sources: Amazon ECS developer guide, "Task state change events", and API reference, `Task`, `stopCode`;
EventBridge user guide, "Using resource-based policies for Amazon EventBridge", "CloudWatch Logs permissions".
"""

from collections.abc import Sequence

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from rollback_constructs.alarms.failed_tasks import failed_task_pattern
from rollback_constructs.attachment import Attachment
from rollback_constructs.triggers import TriggerSettings

_WRITERS = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]


class TaskExits(Construct):
    """Creates the log group (`log_group`) and its policy; `log_failures` creates the rules that write to it."""

    def __init__(self, scope: Construct, id_: str, *, prefix: str, retain: bool, key: kms.IKey | None) -> None:
        """Create the log group.

        Args:
            scope: parent of the construct.
            id_: id of the construct in its scope.
            prefix: first part of all names.
            retain: keep the log group after the stack.
            key: the team's key for logs; None: AWS's key.
        """
        super().__init__(scope, id_)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/events/{prefix}-rollback-task-exits",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
            encryption_key=key,
        )
        self._policy = self._let_events_write(prefix)

    def log_failures(self, services: Sequence[Attachment], delivery: TriggerSettings, dead_letters: sqs.Queue) -> None:
        """Create a rule for each service whose failed tasks are counted.

        Args:
            services: the services.
            delivery: how long EventBridge tries to write an event.
            dead_letters: queue of events that EventBridge could not write.
        """
        for service in services:
            rule = self._rule(service, delivery, dead_letters)
            rule.add_resource_dependency(self._policy)
            dead_letters.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[dead_letters.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
                )
            )

    def _let_events_write(self, prefix: str) -> logs.CfnResourcePolicy:
        """Create the policy. CloudWatch Logs allows ten in a region; the construct of the CDK's needs a function."""
        stack = Stack.of(self)
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": _WRITERS},
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": self.log_group.log_group_arn,
                }
            ],
        }
        return logs.CfnResourcePolicy(
            self,
            "Policy",
            policy_name=f"{prefix}-rollback-task-exits",
            policy_document=stack.to_json_string(document),
        )

    def _rule(self, service: Attachment, delivery: TriggerSettings, dead_letters: sqs.Queue) -> events.CfnRule:
        stack = Stack.of(self)
        cluster = stack.format_arn(service="ecs", resource="cluster", resource_name=service.cluster)
        group = stack.format_arn(  # without the `:*` at the end of the group's own attribute
            service="logs",
            resource="log-group",
            resource_name=self.log_group.log_group_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return events.CfnRule(
            self,
            f"Rule-{service.name}",
            description=f"Logs the failed tasks of {service.name}, which an alarm counts",
            event_pattern=failed_task_pattern(service, cluster),
            targets=[
                events.CfnRule.TargetProperty(
                    arn=group,
                    id="TaskExits",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=delivery.event_age_minutes * 60,
                        maximum_retry_attempts=delivery.retry_attempts,
                    ),
                )
            ],
        )
