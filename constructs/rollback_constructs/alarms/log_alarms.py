"""Leaf alarm on error lines in the log of a service's container."""

from aws_cdk import Duration
from aws_cdk import aws_logs as logs

from rollback.names import ERROR_LOGS, ERROR_LOGS_METRIC, error_logs_namespace
from rollback_constructs.alarms.leaf_alarms import LeafAlarms
from rollback_constructs.alarms.target_alarms import Alarms


def alarm_on_error_logs(leaves: LeafAlarms) -> Alarms:
    """Create the alarm, and the metric filter that counts the lines; none for a service without a log group."""
    service, settings = leaves.service, leaves.settings
    if service.log_group is None:
        return ()
    metric_filter = logs.MetricFilter(
        leaves.scope,
        "ErrorLogFilter",
        log_group=logs.LogGroup.from_log_group_name(leaves.scope, "Logs", service.log_group),
        filter_pattern=logs.FilterPattern.literal(service.error_log_pattern or settings.error_log_pattern),
        metric_namespace=error_logs_namespace(leaves.prefix, service.name),
        metric_name=ERROR_LOGS_METRIC,
        metric_value="1",
        default_value=0,
    )
    lines = metric_filter.metric(statistic="Sum", period=Duration.seconds(settings.period_seconds))
    limit = settings.max_error_logs_per_minute * settings.period_seconds / 60
    return (leaves.add("ErrorLogs", lines, ERROR_LOGS, limit),)
