"""EventBridge rules that start rollbacks and promotions, and conclude what was left open.

Events are passed on unchanged. Rule 10: an event that can't be delivered within minutes is stale. EventBridge puts it
into a dead-letter queue, and an alarm on the queue pages. EventBridge invokes a function asynchronously, and has
delivered its event once Lambda has accepted it. If the function then fails on the event three times, Lambda puts it
into a second queue.

ECS reports a failed deployment with two events. `ECS Deployment State Change` comes for services with the circuit
breaker on. `ECS Service Action` comes when the circuit breaker or a CloudWatch alarm fails a deployment (ECS developer
guide, "Service deployment state change events" and "Service action events"). The rules match both; `workflow.admit`
takes two events about one failure for one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.domain.delivery.phase import Phase
from rollback.names import TEST_EVENT, event_source, event_type
from rollback_constructs.limits import batch_by_pattern_length, check_name_length

_DEPLOYMENT, _ACTION = "ECS Deployment State Change", "ECS Service Action"
_MAX_ASYNCHRONOUS_SECONDS = 6 * 60 * 60  # Lambda API reference, PutFunctionEventInvokeConfig
_LAMBDA_RETRIES = 2
_DEPLOYMENT_PURPOSES = {
    "Failed": "Starts a rollback",
    "InProgress": "Records the release, and begins its watch,",
    "Completed": "Starts the promotion of the release",
}


class TriggerSettings(BaseModel):
    """Delivery of events, and the interval of the janitor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_age_minutes: int = Field(
        default=5, ge=1, le=24 * 60, description="EventBridge does not deliver an older event"
    )
    retry_attempts: int = Field(default=10, ge=0, le=185, description="how often EventBridge repeats a delivery")
    janitor_minutes: int = Field(default=5, ge=1, description="interval of the janitor's sweeps")


@dataclass(frozen=True)
class Receivers:
    """State machines and functions that receive the events."""

    rollback: sfn.StateMachine
    promotion: sfn.StateMachine
    report: lambda_.Function
    promote: lambda_.Function
    database: lambda_.Function | None = None
    release_watch: sfn.StateMachine | None = None


class Triggers(Construct):
    """Creates the rules, and two queues with an alarm each.

    Attributes:
        dead_letters: queue of events that EventBridge could not deliver.
        failed: queue of events on which a function failed.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        application: str,
        environment: str,
        settings: TriggerSettings,
        receivers: Receivers,
        alarms: Mapping[str, cloudwatch.CompositeAlarm],
        service_arns: Mapping[str, str],
        critical: sns.ITopic,
    ) -> None:
        """Create the rules.

        Args:
            scope: parent of the construct.
            id_: id of the construct in its scope.
            prefix: first part of all names.
            application: name of the application, which our own events name too.
            environment: name of the environment, which our own events and commands in alarm descriptions name.
            settings: settings of the delivery of events and of the janitor.
            receivers: state machines and functions that receive the events.
            alarms: composite alarms by name.
            service_arns: `service/<cluster>/<name>` → ARN.
            critical: topic to which the alarms on the queues publish.
        """
        super().__init__(scope, id_)
        self._prefix, self._settings, self._critical = prefix, settings, critical
        self.dead_letters = self._queue("DeadLetters", "dead-letters")
        self.failed = self._queue("FailedInvocations", "failed-invocations")
        self.undelivered_alarm = self._alarm_on(
            self.dead_letters,
            "Undelivered",
            "undelivered",
            "EventBridge could not deliver an event, so a rollback, promotion or janitor sweep may not have started. "
            f"Read the message in the queue {prefix}-rollback-dead-letters. If a service needs a rollback, run "
            f"rollback start {environment} --service SERVICE.",
        )
        self.failed_events_alarm = self._alarm_on(
            self.failed,
            "FailedEvents",
            "failed-events",
            "A Lambda function failed on an event three times. Read the event and the error in the message in the "
            f"queue {prefix}-rollback-failed-invocations. Then run rollback status {environment} to check the service.",
        )
        rollback, promotion = (
            self._state_machine_target(receivers.rollback),
            self._state_machine_target(receivers.promotion),
        )
        report, promote = self._lambda_target(receivers.report), self._lambda_target(receivers.promote)
        observers = [self._lambda_target(receivers.database)] if receivers.database is not None else []
        self._on_alarms(alarms, rollback)
        self._on_deployment("Failed", service_arns, [rollback])
        watch = [self._state_machine_target(receivers.release_watch)] if receivers.release_watch is not None else []
        self._on_deployment("InProgress", service_arns, [promote, *observers, *watch])
        self._on_deployment("Completed", service_arns, [promotion, *observers])
        self._conclude_failed_execution(receivers.rollback, report)
        self._on_own_events(application, environment, report)
        self._on_test_event(application, environment, rollback)
        events.Rule(
            self,
            "Janitor",
            rule_name=check_name_length("rule", f"{prefix}-rollback-janitor"),
            description="Runs the janitor: concludes abandoned rollbacks, checks alarms and releases without an event",
            schedule=events.Schedule.rate(Duration.minutes(settings.janitor_minutes)),
            targets=[report, promote, *observers],
        )

    def _on_own_events(self, application: str, environment: str, target: events.IRuleTarget) -> None:
        """Deliver statuses and messages while a rollback runs. Delivering emits no event, so nothing can loop."""
        events.Rule(
            self,
            "OwnEvents",
            rule_name=check_name_length("rule", f"{self._prefix}-rollback-on-own-event"),
            description="Delivers statuses and messages when a rollback enters a phase",
            event_pattern=events.EventPattern(
                account=[Stack.of(self).account],
                source=[event_source(application)],
                detail_type=[event_type(phase) for phase in Phase],
                detail={"environment": [environment]},
            ),
            targets=[target],
        )

    def _on_test_event(self, application: str, environment: str, target: events.IRuleTarget) -> None:
        """Deliver the test event of `rollback doctor`, which Admit suppresses; no event of ours has this type."""
        events.Rule(
            self,
            "TestEvent",
            rule_name=check_name_length("rule", f"{self._prefix}-rollback-on-test-event"),
            description="Delivers the test event of `rollback doctor --send-test-event`, which starts no rollback",
            event_pattern=events.EventPattern(
                account=[Stack.of(self).account],
                source=[event_source(application)],
                detail_type=[event_type(TEST_EVENT)],
                detail={"environment": [environment]},
            ),
            targets=[target],
        )

    def _on_alarms(self, alarms: Mapping[str, cloudwatch.CompositeAlarm], target: events.IRuleTarget) -> None:
        self._rules(
            "Alarm",
            "on-alarm",
            "Starts a rollback when a composite alarm of a service goes to ALARM",
            {f"alarm:{name}": alarm.alarm_arn for name, alarm in alarms.items()},
            lambda arns: events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=arns,
                detail={"state": {"value": ["ALARM"]}},
            ),
            [target],
        )

    def _on_deployment(
        self, state: str, service_arns: Mapping[str, str], receivers: Sequence[events.IRuleTarget]
    ) -> None:
        name = {"Failed": "FAILED", "InProgress": "IN_PROGRESS", "Completed": "COMPLETED"}[state]
        self._rules(
            f"Deployment{state}",
            f"on-deployment-{name.lower().replace('_', '-')}",
            f"{_DEPLOYMENT_PURPOSES[state]} when ECS reports a deployment of a service as {name}",
            service_arns,
            lambda arns: events.EventPattern(
                source=["aws.ecs"],
                detail_type=[_DEPLOYMENT, _ACTION] if state == "Failed" else [_DEPLOYMENT],
                resources=arns,
                detail={"eventName": [f"SERVICE_DEPLOYMENT_{name}"]},
            ),
            receivers,
        )

    def _rules(
        self,
        id_: str,
        name: str,
        description: str,
        arns: Mapping[str, str],
        pattern: Callable[[list[str]], events.EventPattern],
        receivers: Sequence[events.IRuleTarget],
    ) -> None:
        """Create one rule, or several if the ARNs don't fit into one event pattern."""
        for number, batch in enumerate(batch_by_pattern_length(list(arns.items())), start=1):
            events.Rule(
                self,
                id_ if number == 1 else f"{id_}{number}",
                rule_name=check_name_length(
                    "rule", f"{self._prefix}-rollback-{name}{'' if number == 1 else f'-{number}'}"
                ),
                description=description,
                event_pattern=pattern(batch),
                targets=receivers,
            )

    def _conclude_failed_execution(self, machine: sfn.StateMachine, target: events.IRuleTarget) -> None:
        """Conclude after failures that no Catch handles: States.Runtime, a stop by an operator, the time limit."""
        events.Rule(
            self,
            "BrokenExecution",
            rule_name=check_name_length("rule", f"{self._prefix}-rollback-on-broken-execution"),
            description="Concludes a rollback whose execution failed, timed out or was stopped",
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

    def _state_machine_target(self, machine: sfn.StateMachine) -> targets.SfnStateMachine:
        return targets.SfnStateMachine(
            machine,
            dead_letter_queue=self.dead_letters,
            max_event_age=Duration.minutes(self._settings.event_age_minutes),
            retry_attempts=self._settings.retry_attempts,
        )

    def _lambda_target(self, function: lambda_.Function) -> targets.LambdaFunction:
        self._add_failure_destination(function)
        return targets.LambdaFunction(
            function,
            dead_letter_queue=self.dead_letters,
            max_event_age=Duration.minutes(self._settings.event_age_minutes),
            retry_attempts=self._settings.retry_attempts,
        )

    def _add_failure_destination(self, function: lambda_.Function) -> None:
        """Send failed events to the queue; Lambda uses the function's role, and checks its permission at once."""
        function.add_to_role_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.failed.queue_arn]))
        config = lambda_.CfnEventInvokeConfig(
            self,
            f"{function.node.id}Failures",
            function_name=function.function_name,
            qualifier="$LATEST",
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=self.failed.queue_arn)
            ),
            maximum_event_age_in_seconds=min(self._settings.event_age_minutes * 60, _MAX_ASYNCHRONOUS_SECONDS),
            maximum_retry_attempts=_LAMBDA_RETRIES,
        )
        if function.role is not None:
            config.node.add_dependency(function.role)

    def _queue(self, id_: str, name: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            id_,
            queue_name=check_name_length("queue", f"{self._prefix}-rollback-{name}"),
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
        )

    def _alarm_on(self, queue: sqs.Queue, id_: str, name: str, description: str) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=f"{self._prefix}-rollback-{name}",
            alarm_description=description,
            metric=queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="Maximum"),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._critical))
        return alarm
