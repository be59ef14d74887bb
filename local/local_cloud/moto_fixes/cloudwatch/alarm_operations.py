"""Operations on alarms: the state of a new and of a repeated alarm, and the filters of DescribeAlarms.

Replaced in moto:
- A new alarm is OK; CloudWatch's is INSUFFICIENT_DATA until it is evaluated.
- PutMetricAlarm on an existing alarm makes a new one; CloudWatch's keeps its state (API reference, PutMetricAlarm).
- DescribeAlarms takes the first filter only, and shows composite alarms unasked. CloudWatch applies all filters, and
  shows composite alarms only if AlarmTypes lists them (API reference, DescribeAlarms).
- PutCompositeAlarm is missing.
"""

from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

_KEPT = ("value", "reason", "reason_data", "updated_timestamp", "transitioned_timestamp")
_stock_init = Alarm.__init__
_stock_put = CloudWatchBackend.put_metric_alarm


def install() -> None:
    """Replace moto's operations. Repeated calls change nothing."""
    Alarm.__init__ = _init
    CloudWatchBackend.put_metric_alarm = put_metric_alarm
    CloudWatchResponse.describe_alarms = _describe_alarms
    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm


def _init(self: Any, *arguments: Any, **options: Any) -> None:
    _stock_init(self, *arguments, **options)
    self.state_value = "INSUFFICIENT_DATA"
    self.state_transitioned_timestamp = self.state_updated_timestamp
    self.alarm_configuration_updated_timestamp = self.configuration_updated_timestamp


def put_metric_alarm(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """Store an alarm. A metric alarm, or a composite alarm, that was there keeps its state."""
    previous_alarm = self.alarms.get(name)
    alarm = _stock_put(self, name, *arguments, **options)
    if previous_alarm is not None and (previous_alarm.rule is None) == (alarm.rule is None):
        for field in _KEPT:
            setattr(alarm, f"state_{field}", getattr(previous_alarm, f"state_{field}"))
    return alarm


def _describe_alarms(self: Any) -> Any:
    names = self._get_param("AlarmNames", [])
    types = self._get_param("AlarmTypes", []) or ["MetricAlarm"]
    prefix, state = self._get_param("AlarmNamePrefix"), self._get_param("StateValue")
    action_prefix = self._get_param("ActionPrefix")
    matching = [
        alarm
        for alarm in sorted(self.cloudwatch_backend.describe_alarms(), key=lambda alarm: str(alarm.name))
        if (not names or alarm.name in names)
        and (not prefix or alarm.name.startswith(prefix))
        and (not state or alarm.state_value == state)
        and (not action_prefix or any(action.startswith(action_prefix) for action in _actions(alarm)))
    ]
    return ActionResult(
        {
            "MetricAlarms": [a for a in matching if a.rule is None] if "MetricAlarm" in types else [],
            "CompositeAlarms": [a for a in matching if a.rule is not None] if "CompositeAlarm" in types else [],
        }
    )


def _actions(alarm: Any) -> list[str]:
    return [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]
