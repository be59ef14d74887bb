"""Schedules that start drills, and an alarm for each service on the age of its last successful drill.

EventBridge Scheduler has time zones and a flexible window, which rules of EventBridge have not
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html). It starts the state machine as an
operator does. A schedule delivers at least once: the lease on the service refuses a second drill beside the first.
"""

import json
from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from rollback.domain.drills.eligibility import is_drilled
from rollback.domain.settings.environment import Settings
from rollback.names import METRIC_DAYS_SINCE_DRILL, METRIC_NAMESPACE, SCHEDULER, metric_dimensions
from rollback_constructs.limits import check_name_length

_WINDOW_MINUTES = 15  # drills of several services begin at different times
_ALARM_SWEEPS = 3  # sweeps of the janitor that find the last drill too old


class Drills(Construct):
    """Creates a schedule and an alarm for each service that is drilled; nothing without `drills.schedule`."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Settings,
        machine: sfn.StateMachine,
        dead_letters: sqs.IQueue,
        event_age_minutes: int,
        janitor_minutes: int,
        critical: sns.ITopic,
    ) -> None:
        """Create the schedules.

        Args:
            scope: parent of the construct.
            id_: id of the construct in its scope.
            settings: settings of the environment.
            machine: state machine that runs the drills.
            dead_letters: queue of starts that EventBridge Scheduler could not deliver; it has an alarm already.
            event_age_minutes: EventBridge Scheduler does not deliver an older start.
            janitor_minutes: interval at which the janitor writes the metric of the alarms.
            critical: topic to which the alarms publish.
        """
        super().__init__(scope, id_)
        self._settings, self._drills = settings, settings.drills
        names = [name for name in settings.service_names if is_drilled(name, settings)]
        if self._drills.schedule is None or not names:
            return
        role = self._role(machine, dead_letters)
        for name in names:
            self._schedule(name, names, role, machine, dead_letters, event_age_minutes)
            self._alarm(name, Duration.minutes(janitor_minutes), critical)

    def _role(self, machine: sfn.StateMachine, dead_letters: sqs.IQueue) -> iam.Role:
        """Create the role, which only schedules of this account may assume."""
        account = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions=account))
        start = iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn])
        send = iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn])
        role.add_to_policy(start)
        role.add_to_policy(send)
        return role

    def _schedule(
        self,
        service: str,
        services: Sequence[str],
        role: iam.Role,
        machine: sfn.StateMachine,
        dead_letters: sqs.IQueue,
        event_age_minutes: int,
    ) -> None:
        number = "" if len(services) == 1 else f"-{services.index(service) + 1}"
        execution_input = {
            "type": self._drills.scenario,
            "drill": True,
            "service": service,
            "reason": "scheduled drill",
            "requested_by": SCHEDULER,
        }
        schedule = scheduler.CfnSchedule(
            self,
            f"Schedule-{service}",
            name=check_name_length("schedule", f"{self._settings.prefix}-rollback-drill{number}"),
            description=f"Starts a {self._drills.scenario} drill of {service}",
            schedule_expression=self._drills.schedule or "",
            schedule_expression_timezone=self._drills.timezone,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(
                mode="FLEXIBLE", maximum_window_in_minutes=_WINDOW_MINUTES
            ),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=machine.state_machine_arn,
                role_arn=role.role_arn,
                input=json.dumps(execution_input),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=event_age_minutes * 60, maximum_retry_attempts=3
                ),
            ),
        )
        # EventBridge Scheduler checks at once whether it may assume the role.
        schedule.node.add_dependency(role)

    def _alarm(self, service: str, period: Duration, critical: sns.ITopic) -> None:
        environment, days = self._settings.environment, self._drills.max_age_days
        dimensions = {**metric_dimensions(self._settings.application, environment), "Service": service}
        alarm = cloudwatch.Alarm(
            self,
            f"NoRecentDrill-{service}",
            alarm_name=f"{self._settings.prefix}-{service}-no-recent-drill",
            alarm_description=(
                f"No drill of {service} has succeeded for {days:g} days, so it is not known whether a rollback works. "
                f"Run rollback history {environment} --drills for the reasons, then rollback drill {environment} "
                f"--service {service}."
            ),
            metric=cloudwatch.Metric(
                namespace=METRIC_NAMESPACE,
                metric_name=METRIC_DAYS_SINCE_DRILL,
                statistic="Maximum",
                dimensions_map=dimensions,
                period=period,
            ),
            threshold=days,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=_ALARM_SWEEPS,
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )
        alarm.add_alarm_action(actions.SnsAction(critical))
