"""Evaluation of CloudWatch alarms: metric alarms by the scaled clock, composite alarms after each change of a child."""

import contextlib
import datetime
import logging
import threading
import time
import weakref
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends

from local_cloud import clock
from local_cloud.cloudwatch import changes, composite_rules, evaluation, log_metrics
from local_cloud.cloudwatch.metric_store import MetricStore
from local_cloud.moto_fixes.cloudwatch import alarm_history, alarm_mute_rules, alarm_operations

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 10.0
_stock_update = Alarm.update_state
_stock_set = CloudWatchBackend.set_alarm_state


def _update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
    previous = changes.PreviousState(
        self.state_value, self.state_reason, self.state_reason_data, self.state_updated_timestamp
    )
    _stock_update(self, reason, reason_data, state_value)
    if state_value != previous.value:
        self.state_transitioned_timestamp = self.state_updated_timestamp
        alarm_history.record(self, previous)
        changes.announce(self, previous)
        _Running.wake.set()


def _put_metric_alarm(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """Store an alarm, and refuse one that the embedded cloud can't evaluate."""
    previous_alarm = self.alarms.get(name)
    alarm = alarm_operations.put_metric_alarm(self, name, *arguments, **options)
    if problem := _unsupported_reason(alarm):
        if previous_alarm is None:
            del self.alarms[name]
        else:
            self.alarms[name] = previous_alarm
        raise ValidationError(f"alarm {name}: {problem}")
    _Running.wake.set()
    return alarm


def _unsupported_reason(alarm: Any) -> str | None:
    if alarm.rule is None:
        return evaluation.unsupported(alarm)
    try:
        composite_rules.parse(alarm.rule)
    except composite_rules.InvalidRule as error:
        return str(error)
    return None


def _set_alarm_state(self: Any, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
    """Set a requested state. A metric alarm keeps the state for one period, a composite until a child changes."""
    if (alarm := self.alarms.get(alarm_name)) is not None and alarm.rule is None:
        alarm.requested_state_until = time.monotonic() + clock.real_seconds(evaluation.period_seconds(alarm))
    _stock_set(self, alarm_name, reason, reason_data, state_value)


def _evaluate_composite(backend: Any, alarm: Any) -> None:
    """Evaluate a composite alarm if it is new, or if the state of a child has changed."""
    rule = composite_rules.parse(alarm.rule)
    by_name = {key: a for a in list(backend.alarms.values()) for key in (a.name, a.alarm_arn)}
    states = {name: by_name[name].state_value if name in by_name else "INSUFFICIENT_DATA" for name in rule.alarms()}
    if states == alarm.children_seen:
        return
    seen, alarm.children_seen = alarm.children_seen or {}, states
    state = "ALARM" if rule.holds(states.__getitem__) else "OK"
    if state != alarm.state_value:
        changed = {name: value for name, value in states.items() if seen.get(name) != value}
        alarm.update_state(_transitions(changed), "{}", state)


def _transitions(states: dict[str, str]) -> str:
    """Name the children that changed, as CloudWatch's sample event of a composite alarm does.

    Sample: https://github.com/awslabs/aws-lambda-rust-runtime, `example-cloudwatch-alarm-composite.json`.
    """
    now = datetime.datetime.now(datetime.UTC)
    return ", ".join(
        f"{name} transitioned to {value} at {now:%A %d %B, %Y %H:%M:%S} UTC" for name, value in sorted(states.items())
    )


def _evaluate_metric(alarm: Any, store: MetricStore, now: float) -> None:
    if time.monotonic() < alarm.requested_state_until:
        return
    result = evaluation.evaluate(alarm, store, now)
    if result.state is not None and result.state != alarm.state_value:
        alarm.update_state(result.reason, result.reason_data, result.state)


class _Evaluator:
    """The thread that evaluates all alarms: every ten simulated seconds, and after each change."""

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
        longest = max([600.0, *map(evaluation.window_seconds, metric_alarms)])
        store.refresh(now, clock.real_seconds(longest) + 60)
        for alarm in metric_alarms:
            self._guarded(alarm, lambda alarm=alarm: _evaluate_metric(alarm, store, now))
        for alarm in alarms:
            if alarm.rule is not None:
                self._guarded(alarm, lambda alarm=alarm: _evaluate_composite(backend, alarm))

    def _guarded(self, alarm: Any, evaluate: Any) -> None:
        """Evaluate an alarm, and log a failure: it must not stop the evaluation of the others."""
        try:
            evaluate()
        except Exception:  # noqa: BLE001 (see above; logged with its trace)
            _LOG.exception("alarm %s could not be evaluated", alarm.name)


class _Running:
    evaluator: _Evaluator | None = None
    wake = threading.Event()


def install() -> None:
    """Start to evaluate moto's alarms. Repeated calls change nothing."""
    alarm_operations.install()
    alarm_history.install()
    alarm_mute_rules.install()
    log_metrics.install()
    Alarm.update_state = _update_state
    CloudWatchBackend.put_metric_alarm = _put_metric_alarm  # above that of alarm_operations
    CloudWatchBackend.set_alarm_state = _set_alarm_state
    Alarm.requested_state_until = 0.0
    Alarm.children_seen = None
    if _Running.evaluator is None:
        _Running.evaluator = _Evaluator()


def stop() -> None:
    """End the evaluation of alarms."""
    if _Running.evaluator is not None:
        with contextlib.suppress(RuntimeError):  # called from the evaluating thread itself
            _Running.evaluator.stop()
        _Running.evaluator = None
