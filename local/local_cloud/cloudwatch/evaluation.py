"""The state of one metric alarm, decided by M out of N data points and the treatment of missing data."""

import datetime
import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local_cloud.cloudwatch import metric_math
from local_cloud.cloudwatch.metric_math import Moment
from local_cloud.cloudwatch.metric_store import MetricStore, is_supported, metric_key

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class AlarmEvaluation:
    """The result of an evaluation.

    Attributes:
        state: None keeps the present state.
        reason_data: JSON, as CloudWatch writes it.
    """

    state: State | None
    reason: str
    reason_data: str


def unsupported(alarm: Any) -> str | None:
    """Return the reason why the embedded cloud can't evaluate this metric alarm; None if it can."""
    if alarm.comparison_operator not in _COMPARISONS:
        return f"comparison {alarm.comparison_operator} is not supported"
    return _unsupported_statistic(alarm) or _unsupported_metric_math(alarm)


def _unsupported_statistic(alarm: Any) -> str | None:
    statistics = [q.metric_stat.stat for q in alarm.metric_data_queries if q.metric_stat]
    if not alarm.metric_data_queries:
        statistics = [alarm.extended_statistic or alarm.statistic or "none"]
    for statistic in statistics:
        if not is_supported(statistic):
            return f"statistic {statistic} is not supported"
    return None


def _unsupported_metric_math(alarm: Any) -> str | None:
    try:
        expressions = [metric_math.parse(q.expression) for q in alarm.metric_data_queries if q.expression]
    except metric_math.UnsupportedExpression as error:
        return str(error)
    unknown = {used for expression in expressions for used in expression.ids} - {
        q.id for q in alarm.metric_data_queries
    }
    if unknown:
        return f"metric math uses unknown ids: {', '.join(sorted(unknown))}"
    returned = [q for q in alarm.metric_data_queries if returns_data(q)]
    if alarm.metric_data_queries and len(returned) != 1:
        return f"exactly one metric must return data, not {len(returned)}"
    return None


def returns_data(query: Any) -> bool:
    """Whether the alarm watches this query; ReturnData is true by default."""
    return query.return_data is None or str(query.return_data).lower() == "true"


def period_seconds(alarm: Any) -> float:
    """Return the length of one data point in simulated seconds; for metric math, the longest of its metrics."""
    periods = [float(q.metric_stat.period) for q in alarm.metric_data_queries if q.metric_stat]
    return max(periods, default=float(alarm.period or 60))


def window_seconds(alarm: Any) -> float:
    """Return how far back an evaluation looks, in simulated seconds."""
    return period_seconds(alarm) * int(alarm.evaluation_periods)


def evaluate(alarm: Any, store: MetricStore, now: float) -> AlarmEvaluation:
    """Evaluate a metric alarm; `now` is in seconds since the epoch."""
    points = _points(alarm, store, now)
    needed = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    state = decide(
        points,
        needed,
        lambda value: _COMPARISONS[alarm.comparison_operator][0](value, float(alarm.threshold)),
        alarm.treat_missing_data or "missing",
    )
    return AlarmEvaluation(state, _reason(alarm, points, needed, state), _reason_data(alarm, points))


def decide(
    points: Sequence[float | None], needed: int, breaches: Callable[[float], bool], missing: str
) -> State | None:
    """Return the state that data points call for; None keeps the present one.

    Args:
        points: the newest first; None for a missing point.
        needed: number of breaching points for ALARM.
        breaches: whether a point is beyond the threshold.
        missing: the alarm's `TreatMissingData`.
    """
    present = [(age, breaches(point)) for age, point in enumerate(points) if point is not None]
    breaching = [age for age, breach in present if breach]
    if missing == "breaching":
        return "ALARM" if len(breaching) + len(points) - len(present) >= needed else "OK"
    if missing == "notBreaching":
        return "ALARM" if len(breaching) >= needed else "OK"
    if not present:
        return None if missing == "ignore" else "INSUFFICIENT_DATA"
    if len(breaching) >= needed:
        return "ALARM"
    if missing == "missing" and len(breaching) == len(present):
        # Every known point breaches: ALARM once the oldest of them is as old as the needed points, no change before.
        return "ALARM" if max(breaching) >= needed - 1 else None
    return None if missing == "ignore" and len(breaching) == len(present) else "OK"


def _points(alarm: Any, store: MetricStore, now: float) -> list[float | None]:
    count = int(alarm.evaluation_periods)
    if not alarm.metric_data_queries:
        key = metric_key(alarm.namespace, alarm.metric_name, alarm.dimensions)
        return store.points(key, alarm.extended_statistic or alarm.statistic, float(alarm.period), count, now)
    series: dict[str, list[float | None]] = {}
    for query in alarm.metric_data_queries:
        if query.metric_stat:
            metric = query.metric_stat.metric
            key = metric_key(metric.namespace, metric.metric_name, metric.dimensions)
            series[query.id] = store.points(key, query.metric_stat.stat, float(query.metric_stat.period), count, now)
    _add_expressions(alarm, series, count)
    returned = next(query.id for query in alarm.metric_data_queries if returns_data(query))
    return series.get(returned, [None] * count)


def _add_expressions(alarm: Any, series: dict[str, list[float | None]], count: int) -> None:
    """Evaluate the alarm's expressions, each as soon as the series that it uses are known."""
    pending = {query.id: metric_math.parse(query.expression) for query in alarm.metric_data_queries if query.expression}
    while ready := [name for name, expression in pending.items() if expression.ids <= series.keys()]:
        for name in ready:
            expression = pending.pop(name)
            published = frozenset(used for used in expression.ids if any(point is not None for point in series[used]))
            moments = [Moment({used: series[used][i] for used in expression.ids}, published) for i in range(count)]
            values = [expression.evaluate(moment) for moment in moments]
            series[name] = [None if isinstance(value, list) else value for value in values]


def _reason(alarm: Any, points: Sequence[float | None], needed: int, state: State | None) -> str:
    present = [point for point in points if point is not None]
    if not present:
        treatment = f" and {alarm.treat_missing_data}" if alarm.treat_missing_data else ""
        return f"Insufficient Data: {len(points)} datapoints were unknown{treatment}."
    words = _COMPARISONS[alarm.comparison_operator][1]
    verb = "was" if len(present) == 1 else "were"
    return (
        f"Threshold Crossed: {len(present)} out of the last {len(points)} datapoints {present} {verb} "
        f"{'' if state == 'ALARM' else 'not '}{words} the threshold ({float(alarm.threshold)}) "
        f"(minimum {needed} datapoint{'s' if needed > 1 else ''} for OK -> ALARM transition)."
    )


def _reason_data(alarm: Any, points: Sequence[float | None]) -> str:
    data = {
        "version": "1.0",
        "queryDate": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
        "statistic": alarm.extended_statistic or alarm.statistic,
        "period": int(period_seconds(alarm)),
        "recentDatapoints": [point for point in points if point is not None],
        "threshold": float(alarm.threshold),
    }
    return json.dumps({name: value for name, value in data.items() if value is not None})
