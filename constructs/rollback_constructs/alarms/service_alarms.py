"""Alarms of one service: leaf alarms are evidence, the two composite alarms start rollbacks.

Each source of evidence has a file: requests and targets of load balancers, tasks, logs, queues. Which of them a service
has depends on the service; docs/attach.md has the table.
"""

from collections.abc import Sequence
from typing import cast

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from rollback.domain.settings.watched import Starts
from rollback.names import degraded_alarm, outage_alarm
from rollback_constructs.alarms.alarm_settings import AlarmSettings
from rollback_constructs.alarms.leaf_alarms import LeafAlarms
from rollback_constructs.alarms.log_alarms import alarm_on_error_logs
from rollback_constructs.alarms.queue_alarms import alarm_on_queues
from rollback_constructs.alarms.request_alarms import alarm_on_errors, alarm_on_latency, alarm_on_near_total_errors
from rollback_constructs.alarms.target_alarms import (
    alarm_on_no_healthy_targets,
    alarm_on_target_resets,
    alarm_on_unhealthy_targets,
)
from rollback_constructs.alarms.task_alarms import (
    alarm_on_missing_tasks,
    alarm_on_no_running_tasks,
    alarm_on_task_exits,
)
from rollback_constructs.attachment import Attachment
from rollback_constructs.limits import check_alarm_rule

__all__ = ["AlarmSettings", "ServiceAlarms"]


class ServiceAlarms(Construct):
    """Creates the alarms.

    Attributes:
        degraded: composite alarm; starts a service rollback.
        outage: composite alarm; starts an emergency rollback.
        evidence: their leaf alarms.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        environment: str,
        service: Attachment,
        settings: AlarmSettings,
        task_exits: logs.ILogGroup | None = None,
    ) -> None:
        """Create the alarms.

        Args:
            scope: parent of the construct.
            id_: id of the construct in its scope.
            prefix: prefix of the environment.
            environment: name of the environment, for the commands in the alarms' descriptions.
            service: the service.
            settings: limits of the alarms.
            task_exits: log group of the events about failed tasks; None: no service of the environment counts them.
        """
        super().__init__(scope, id_)
        self._service, self._environment = service, environment
        leaves = LeafAlarms(self, prefix, service, settings)
        degraded = (
            *alarm_on_errors(leaves),
            *alarm_on_latency(leaves),
            *alarm_on_error_logs(leaves),
            *alarm_on_unhealthy_targets(leaves),
            *alarm_on_target_resets(leaves),
            *alarm_on_missing_tasks(leaves),
            *alarm_on_task_exits(leaves, task_exits),
            *alarm_on_queues(leaves),
        )
        near_total, no_tasks = alarm_on_near_total_errors(leaves), alarm_on_no_running_tasks(leaves)
        no_healthy = alarm_on_no_healthy_targets(leaves)
        self.evidence = (*degraded, *near_total, *no_healthy, *no_tasks)
        self.degraded = self._composite("Degraded", degraded_alarm(prefix, service.name), degraded, Starts.SERVICE)
        self.outage = self._composite(
            "Outage",
            outage_alarm(prefix, service.name),
            (*near_total, *no_tasks),
            Starts.EMERGENCY,
            all_of=no_healthy,  # one for each target group
        )

    def _composite(
        self,
        id_: str,
        name: str,
        leaves: Sequence[cloudwatch.Alarm],
        starts: Starts,
        *,
        all_of: Sequence[cloudwatch.Alarm] = (),
    ) -> cloudwatch.CompositeAlarm:
        """Create a composite alarm.

        Args:
            id_: id of the alarm.
            name: name of the alarm.
            leaves: alarms of which each alone fires it.
            starts: the rollback that it starts; the team's own alarms that start the same fire it too.
            all_of: alarms that fire it together.
        """
        extras = [extra.alarm for extra in self._service.extra_alarms if extra.starts is starts]
        check_alarm_rule(name, [*map(_name_of, (*all_of, *leaves))], extras)
        together = [_rule_of(alarm) for alarm in all_of]
        any_of = [
            *([cloudwatch.AlarmRule.all_of(*together)] if len(together) > 1 else together),
            *map(_rule_of, leaves),
            *(cloudwatch.AlarmRule.from_string(f'ALARM("{extra}")') for extra in extras),
        ]
        return cloudwatch.CompositeAlarm(
            self,
            id_,
            composite_alarm_name=name,
            alarm_description=(
                f"This alarm starts a rollback of {self._service.name} when the alarm goes from OK to ALARM. Do not "
                f"set the state of this alarm yourself. To follow the rollback, run rollback status "
                f"{self._environment} or rollback history {self._environment}."
            ),
            alarm_rule=cloudwatch.AlarmRule.any_of(*any_of),
        )


def _rule_of(leaf: cloudwatch.Alarm) -> cloudwatch.IAlarmRule:
    return cloudwatch.AlarmRule.from_alarm(leaf, cloudwatch.AlarmState.ALARM)


def _name_of(leaf: cloudwatch.Alarm) -> str:
    return str(cast(cloudwatch.CfnAlarm, leaf.node.default_child).alarm_name)
