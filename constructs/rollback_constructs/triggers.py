"""EventBridge rules: what starts a rollback, a promotion, and the tidying up after them.

Events go through as they are. What can't be delivered within minutes is stale (rule 10): it lands in a dead-letter
queue, and an alarm on that queue tells people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

_DEPLOYMENT = "ECS Deployment State Change"


class TriggerSettings(BaseModel):
    """How events are delivered, and how often the janitor comes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_age_minutes: int = Field(default=5, ge=1, le=24 * 60, description="an older event is not delivered")
    retry_attempts: int = Field(default=10, ge=0, le=185)
    janitor_minutes: int = Field(default=5, ge=1)


@dataclass(frozen=True)
class Receivers:
    """Who gets the events."""

    rollback: sfn.StateMachine
    promotion: sfn.StateMachine
    report: lambda_.Function
    promote: lambda_.Function
    database: lambda_.Function | None = None


class Triggers(Construct):
    """The rules, their dead-letter queue (`dead_letters`) and its alarm (`undelivered`)."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        settings: TriggerSettings,
        receivers: Receivers,
        alarms: Sequence[cloudwatch.CompositeAlarm],
        service_arns: list[str],
        critical: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        self._prefix, self._settings = prefix, settings
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=f"{prefix}-rollback-dead-letters",
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        self.undelivered = self._alarm_on_dead_letters(critical)
        rollback, promotion = self._starts(receivers.rollback), self._starts(receivers.promotion)
        report, promote = self._invokes(receivers.report), self._invokes(receivers.promote)
        looks = [self._invokes(receivers.database)] if receivers.database is not None else []
        self._on_alarms(alarms, rollback)
        self._on_deployment("Failed", service_arns, [rollback])
        self._on_deployment("InProgress", service_arns, [promote, *looks])
        self._on_deployment("Completed", service_arns, [promotion, *looks])
        self._on_broken_execution(receivers.rollback, report)
        events.Rule(
            self,
            "Janitor",
            rule_name=f"{prefix}-rollback-janitor",
            description="Concludes what was left open, and looks at alarms and releases that no event told of",
            schedule=events.Schedule.rate(Duration.minutes(settings.janitor_minutes)),
            targets=[report, promote, *looks],
        )

    def _on_alarms(self, alarms: Sequence[cloudwatch.CompositeAlarm], target: events.IRuleTarget) -> None:
        events.Rule(
            self,
            "Alarm",
            rule_name=f"{self._prefix}-rollback-on-alarm",
            description="A composite alarm went to ALARM: a rollback is admitted",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn for alarm in alarms],
                detail={"state": {"value": ["ALARM"]}},
            ),
            targets=[target],
        )

    def _on_deployment(self, end: str, service_arns: list[str], receivers: Sequence[events.IRuleTarget]) -> None:
        name = {"Failed": "FAILED", "InProgress": "IN_PROGRESS", "Completed": "COMPLETED"}[end]
        events.Rule(
            self,
            f"Deployment{end}",
            rule_name=f"{self._prefix}-rollback-on-deployment-{name.lower().replace('_', '-')}",
            description=f"A deployment of a service is {name}",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=[_DEPLOYMENT],
                resources=service_arns,
                detail={"eventName": [f"SERVICE_DEPLOYMENT_{name}"]},
            ),
            targets=receivers,
        )

    def _on_broken_execution(self, machine: sfn.StateMachine, target: events.IRuleTarget) -> None:
        """Some failures no Catch sees: States.Runtime, a stop by hand, the time limit."""
        events.Rule(
            self,
            "BrokenExecution",
            rule_name=f"{self._prefix}-rollback-on-broken-execution",
            description="An execution of the rollback state machine ended without a conclusion",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn],
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                },
            ),
            targets=[target],
        )

    def _starts(self, machine: sfn.StateMachine) -> targets.SfnStateMachine:
        return targets.SfnStateMachine(
            machine,
            dead_letter_queue=self.dead_letters,
            max_event_age=Duration.minutes(self._settings.event_age_minutes),
            retry_attempts=self._settings.retry_attempts,
        )

    def _invokes(self, function: lambda_.Function) -> targets.LambdaFunction:
        return targets.LambdaFunction(
            function,
            dead_letter_queue=self.dead_letters,
            max_event_age=Duration.minutes(self._settings.event_age_minutes),
            retry_attempts=self._settings.retry_attempts,
        )

    def _alarm_on_dead_letters(self, critical: sns.ITopic) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            "Undelivered",
            alarm_name=f"{self._prefix}-rollback-undelivered",
            alarm_description="An event that should have started something was not delivered; look at the queue",
            metric=self.dead_letters.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(critical))
        return alarm
