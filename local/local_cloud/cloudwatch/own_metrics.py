"""What AWS's services report about themselves: AWS/Lambda by FunctionName, AWS/States by StateMachineArn.

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
    """A function ran. `Errors` is reported with every invocation, so that its average is a rate."""
    values = {"Invocations": 1.0, "Errors": float(not succeeded), "Duration": seconds * 1000}
    _put(function.account_id, function.region, "AWS/Lambda", ("FunctionName", function.function_name), values)


def count_throttle(function: Any) -> None:
    """A function was not run, since too many of it did; no `Invocations`, no `Errors`."""
    of = ("FunctionName", function.function_name)
    _put(function.account_id, function.region, "AWS/Lambda", of, {"Throttles": 1.0})


def count_execution(execution: Any, status: str) -> None:
    """A state machine's execution has begun, or ended."""
    of = ("StateMachineArn", execution.state_machine_arn)
    _put(execution.account_id, execution.region_name, "AWS/States", of, {_METRIC_BY_STATUS[status]: 1.0})


def _put(account: str, region: str, namespace: str, of: tuple[str, str], values: dict[str, float]) -> None:
    dimensions = [{"Name": of[0], "Value": of[1]}]
    data = [{"MetricName": name, "Dimensions": dimensions, "Value": value} for name, value in values.items()]
    cloudwatch_backends[account][region].put_metric_data(namespace, data)
