"""Shim of CloudFormation's composite alarms, which MiniStack lacks, and of alarms on metric math, which it refuses.

MiniStack's own PutCompositeAlarm makes a composite alarm and evaluates it. An alarm on metric math is stored on a
metric without data: a test sets its state, and MiniStack never evaluates the expression.
"""

from typing import Any

from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]


def _create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
    name = properties.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255)
    request = {key: value for key, value in properties.items() if key != "Tags"} | {"AlarmName": name}
    status, _, body = cloudwatch._put_composite_alarm({}, request, False, True)
    if status >= 400:
        raise ValueError(f"composite alarm {name}: {body!r}")
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _update(name: str, old: Properties, new: Properties, stack: str, logical_id: str = "") -> tuple[str, Properties]:
    return _create(logical_id, {"AlarmName": name, **new}, stack)


def _delete(name: str, properties: Properties) -> None:
    cloudwatch._composite_alarms.pop(name, None)


def install() -> None:
    """Add the type of composite alarms, and accept expressions of metric alarms."""
    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
    plain = provisioners._cw_metric_alarm_record

    def record(name: str, properties: Properties) -> Any:
        if properties.get("Metrics"):
            without_metrics = {key: value for key, value in properties.items() if key != "Metrics"}
            properties = {**without_metrics, "Namespace": "NotEvaluated", "MetricName": name}
        return plain(name, properties)

    provisioners._cw_metric_alarm_record = record
