"""Metrics that AWS's services report of themselves: AWS/Lambda by FunctionName, AWS/States by StateMachineArn.

Names: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html and
https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
"""

from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

_METRIC_BY_STATUS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def count_invocation(function: Any, *, succeeded: bool, seconds: float) -> None:
    """Count an invocation. `Errors` is reported each time, so that its average is a rate."""
    values = {"Invocations": 1.0, "Errors": float(not succeeded), "Duration": seconds * 1000}
    _put(function.account_id, function.region, "AWS/Lambda", ("FunctionName", function.function_name), values)


def count_throttle(function: Any) -> None:
    """Count an invocation that reserved concurrency refused. It is no part of `Invocations` and `Errors`."""
    dimension = ("FunctionName", function.function_name)
    _put(function.account_id, function.region, "AWS/Lambda", dimension, {"Throttles": 1.0})


def count_execution(execution: Any, status: str) -> None:
    """Count the beginning or the end of a state machine's execution."""
    dimension = ("StateMachineArn", execution.state_machine_arn)
    _put(execution.account_id, execution.region_name, "AWS/States", dimension, {_METRIC_BY_STATUS[status]: 1.0})


def _put(account: str, region: str, namespace: str, dimension: tuple[str, str], values: dict[str, float]) -> None:
    dimensions = [{"Name": dimension[0], "Value": dimension[1]}]
    data = [{"MetricName": name, "Dimensions": dimensions, "Value": value} for name, value in values.items()]
    cloudwatch_backends[account][region].put_metric_data(namespace, data)
