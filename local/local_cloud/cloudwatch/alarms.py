"""CloudWatch alarms: metric alarms are evaluated on the scaled clock, composite alarms follow their children."""

import contextlib
import datetime
import logging
import threading
import time
import weakref
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from local_cloud import clock
from local_cloud.cloudwatch import changes as alarm_changes
from local_cloud.cloudwatch import evaluation as alarm_evaluation
from local_cloud.cloudwatch import history as alarm_history
from local_cloud.cloudwatch import log_metrics as alarm_log_metrics
from local_cloud.cloudwatch import mutes as alarm_mutes
from local_cloud.cloudwatch import rules as alarm_rules
from local_cloud.cloudwatch.alarm_statistics import MetricStore

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 10.0
_stock_init = Alarm.__init__
_stock_update = Alarm.update_state
_stock_put = CloudWatchBackend.put_metric_alarm
_stock_set = CloudWatchBackend.set_alarm_state


def _init(self: Any, *arguments: Any, **options: Any) -> None:
    _stock_init(self, *arguments, **options)
    self.state_value = "INSUFFICIENT_DATA"  # moto begins with OK
    self.state_transitioned_timestamp = self.state_updated_timestamp
    self.alarm_configuration_updated_timestamp = self.configuration_updated_timestamp
    self.set_by_hand_until = 0.0
    self.children_seen = None
    self.action_outcomes = []


def _update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
    previous = alarm_changes.PreviousState(
        self.state_value, self.state_reason, self.state_reason_data, self.state_updated_timestamp
    )
    _stock_update(self, reason, reason_data, state_value)
    if state_value != previous.value:
        self.state_transitioned_timestamp = self.state_updated_timestamp
        alarm_history.record(self, previous)
        alarm_changes.announce(self, previous)
        _Running.wake.set()


def _put_metric_alarm(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """Refuses what cannot be evaluated here; an alarm that is put again keeps its state."""
    before = self.alarms.get(name)
    alarm = _stock_put(self, name, *arguments, **options)
    if problem := _unsupported_reason(alarm):
        if before is None:
            del self.alarms[name]
        else:
            self.alarms[name] = before
        raise ValidationError(f"alarm {name}: {problem}")
    if before is not None and (before.rule is None) == (alarm.rule is None):
        for field in ("value", "reason", "reason_data", "updated_timestamp", "transitioned_timestamp"):
            setattr(alarm, f"state_{field}", getattr(before, f"state_{field}"))
    _Running.wake.set()
    return alarm


def _unsupported_reason(alarm: Any) -> str | None:
    if alarm.rule is None:
        return alarm_evaluation.unsupported(alarm)
    try:
        alarm_rules.parse(alarm.rule)
    except alarm_rules.InvalidRule as error:
        return str(error)
    return None


def _set_alarm_state(self: Any, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
    """A metric alarm keeps a state set by hand for one of its periods; a composite until a child changes."""
    if (alarm := self.alarms.get(alarm_name)) is not None and alarm.rule is None:
        alarm.set_by_hand_until = time.monotonic() + clock.real_seconds(alarm_evaluation.period_seconds(alarm))
    _stock_set(self, alarm_name, reason, reason_data, state_value)


def _describe_alarms(self: Any) -> Any:
    """DescribeAlarms: the filters together; only metric alarms unless AlarmTypes asks for composites."""
    names = self._get_param("AlarmNames", [])
    types = self._get_param("AlarmTypes", []) or ["MetricAlarm"]
    prefix, state = self._get_param("AlarmNamePrefix"), self._get_param("StateValue")
    action_prefix = self._get_param("ActionPrefix")
    found = [
        alarm
        for alarm in sorted(self.cloudwatch_backend.describe_alarms(), key=lambda alarm: str(alarm.name))
        if (not names or alarm.name in names)
        and (not prefix or alarm.name.startswith(prefix))
        and (not state or alarm.state_value == state)
        and (not action_prefix or any(action.startswith(action_prefix) for action in _actions(alarm)))
    ]
    return ActionResult(
        {
            "MetricAlarms": [a for a in found if a.rule is None] if "MetricAlarm" in types else [],
            "CompositeAlarms": [a for a in found if a.rule is not None] if "CompositeAlarm" in types else [],
        }
    )


def _actions(alarm: Any) -> list[str]:
    return [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]


def _evaluate_composite(backend: Any, alarm: Any) -> None:
    """A composite is evaluated when it is new, and whenever the state of a child has changed."""
    rule = alarm_rules.parse(alarm.rule)
    by_name = {key: a for a in list(backend.alarms.values()) for key in (a.name, a.alarm_arn)}
    states = {name: by_name[name].state_value if name in by_name else "INSUFFICIENT_DATA" for name in rule.alarms()}
    if states == alarm.children_seen:
        return
    alarm.children_seen = states
    state = "ALARM" if rule.holds(states.__getitem__) else "OK"
    if state != alarm.state_value:
        named = ", ".join(f"{name} is {value}" for name, value in sorted(states.items()))
        alarm.update_state(f"{alarm.rule} is {str(state == 'ALARM').upper()}: {named}", "{}", state)


def _evaluate_metric(alarm: Any, store: MetricStore, now: float) -> None:
    if time.monotonic() < alarm.set_by_hand_until:
        return
    verdict = alarm_evaluation.evaluate(alarm, store, now)
    if verdict.state is not None and verdict.state != alarm.state_value:
        alarm.update_state(verdict.reason, verdict.reason_data, verdict.state)


class _Evaluator:
    """The thread that evaluates all alarms, each ten simulated seconds and after each change."""

    def __init__(self) -> None:
        self._stores: weakref.WeakKeyDictionary[Any, MetricStore] = weakref.WeakKeyDictionary()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        _Running.wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            _Running.wake.wait(max(0.05, clock.real_seconds(_TICK_SECONDS)))
            _Running.wake.clear()
            backends = [b for account in list(cloudwatch_backends.values()) for b in list(account.values())]
            for backend in backends:
                self._evaluate(backend)

    def _evaluate(self, backend: Any) -> None:
        alarms = list(backend.alarms.values())
        metric_alarms = [alarm for alarm in alarms if alarm.rule is None]
        now = datetime.datetime.now(datetime.UTC).timestamp()
        store = self._stores.setdefault(backend, MetricStore(backend))
        longest = max([600.0, *map(alarm_evaluation.window_seconds, metric_alarms)])
        store.refresh(now, clock.real_seconds(longest) + 60)
        for alarm in metric_alarms:
            self._guarded(alarm, lambda alarm=alarm: _evaluate_metric(alarm, store, now))
        for alarm in alarms:
            if alarm.rule is not None:
                self._guarded(alarm, lambda alarm=alarm: _evaluate_composite(backend, alarm))

    def _guarded(self, alarm: Any, evaluate: Any) -> None:
        """One alarm that cannot be evaluated must not stop the others."""
        try:
            evaluate()
        except Exception:  # noqa: BLE001 (see above; logged with its trace)
            _LOG.exception("alarm %s could not be evaluated", alarm.name)


class _Running:
    evaluator: _Evaluator | None = None
    wake = threading.Event()


def install() -> None:
    """Mend moto's alarms and start evaluating. Repeated calls do nothing."""
    Alarm.__init__ = _init
    Alarm.update_state = _update_state
    CloudWatchBackend.put_metric_alarm = _put_metric_alarm
    CloudWatchBackend.set_alarm_state = _set_alarm_state
    CloudWatchResponse.describe_alarms = _describe_alarms
    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm
    alarm_history.install()
    alarm_log_metrics.install()
    alarm_mutes.install()
    if _Running.evaluator is None:
        _Running.evaluator = _Evaluator()


def stop() -> None:
    """End the evaluation."""
    if _Running.evaluator is not None:
        with contextlib.suppress(RuntimeError):  # called from the evaluating thread itself
            _Running.evaluator.stop()
        _Running.evaluator = None
