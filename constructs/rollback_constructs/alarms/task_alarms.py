"""Leaf alarms on a service's tasks: missing tasks, failed tasks, and no running task at all.

Container Insights counts the tasks that run and those that should. While it is off, both counts are missing, and the
alarms on them stay OK: the doctor and readiness say so. ECS's own events count the tasks that failed, without it
(`task_exits`).
"""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs

from rollback.names import NO_RUNNING_TASKS, TASK_EXITS, TASK_EXITS_METRIC, TASK_SHORTFALL, error_logs_namespace
from rollback_constructs.alarms.leaf_alarms import BELOW, LeafAlarms
from rollback_constructs.alarms.target_alarms import Alarms

INSIGHTS = "ECS/ContainerInsights"


def alarm_on_missing_tasks(leaves: LeafAlarms) -> Alarms:
    """Create the alarm; without a count of running tasks there is no data point."""
    missing = leaves.math("IF(running >= 0, desired-running)", "tasks missing", _counts(leaves))
    s = leaves.settings
    return (leaves.add("TaskShortfall", missing, TASK_SHORTFALL, s.max_missing_tasks, s.shortfall_evaluation_periods),)


def alarm_on_no_running_tasks(leaves: LeafAlarms) -> Alarms:
    """Create the alarm on the outage of a worker: no task runs, though some should; none for other services.

    A service of one task that deploys without overlap runs no task for a while, so this alarm has the patience of the
    alarm on missing tasks.
    """
    if not leaves.service.is_worker:
        return ()
    running = leaves.math("IF(desired >= 1, running)", "running tasks of a service that should run", _counts(leaves))
    periods = leaves.settings.shortfall_evaluation_periods
    return (leaves.add("NoRunningTasks", running, NO_RUNNING_TASKS, 1, periods, comparison=BELOW),)


def alarm_on_task_exits(leaves: LeafAlarms, exits: logs.ILogGroup | None) -> Alarms:
    """Create the alarm on tasks that failed, and the metric filter that counts them.

    Args:
        leaves: creates the alarm.
        exits: log group of the events about tasks that failed; None: no service of the environment counts them.
    """
    service, settings = leaves.service, leaves.settings
    limit = settings.max_task_exits(is_worker=service.is_worker)
    if limit is None or exits is None:
        return ()
    metric_filter = logs.MetricFilter(
        leaves.scope,
        "TaskExitFilter",
        log_group=exits,
        filter_pattern=logs.FilterPattern.literal(
            f'{{ ($.detail.group = "service:{service.ecs_service}") && '
            f'($.detail.clusterArn = "*:cluster/{service.cluster}") }}'
        ),
        metric_namespace=error_logs_namespace(leaves.prefix, service.name),
        metric_name=TASK_EXITS_METRIC,
        metric_value="1",
        default_value=0,
    )
    seconds = settings.period_seconds * settings.shortfall_evaluation_periods
    failed = metric_filter.metric(statistic="Sum", period=Duration.seconds(seconds))
    return (leaves.add("TaskExits", failed, TASK_EXITS, limit, 1),)


def _counts(leaves: LeafAlarms) -> dict[str, cloudwatch.IMetric]:
    dimensions = {"ClusterName": leaves.service.cluster, "ServiceName": leaves.service.ecs_service}
    return {
        "desired": leaves.metric(INSIGHTS, "DesiredTaskCount", "Minimum", dimensions),
        "running": leaves.metric(INSIGHTS, "RunningTaskCount", "Maximum", dimensions),
    }
