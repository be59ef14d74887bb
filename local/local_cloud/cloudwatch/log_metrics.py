"""Metric filters of CloudWatch Logs: matching log events become metric data. moto keeps filters and counts nothing.

Patterns: terms (all must occur), `?term` (any), `-term` (none), "quoted phrases", and `{ $.field = value && ... }`.
"""

import datetime
import json
import re
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend, LogStream, logs_backends

from local_cloud.cloudwatch import embedded_metrics
from local_cloud.moto_fixes.cloudwatch import metric_filters

_TERM = re.compile(r'([?-]?)(?:"([^"]*)"|(\S+))')
_CONDITION = re.compile(r'\s*\$\.([\w.-]+)\s*(!=|=|>=|<=|>|<)\s*(?:"([^"]*)"|(\S+))\s*')
_stock_put = LogStream.put_log_events


class UnsupportedPattern(Exception):
    """The embedded cloud can't match this filter pattern."""


def matches(pattern: str, message: str) -> bool:
    """Whether a log message matches a filter pattern.

    Raises:
        UnsupportedPattern: the embedded cloud can't match the pattern.
    """
    pattern = pattern.strip()
    if pattern.startswith("{"):
        return _matches_json(pattern.strip("{} "), message)
    if pattern.startswith(("[", "%")):
        raise UnsupportedPattern(f"the embedded cloud matches terms and JSON conditions only, not {pattern}")
    terms = [(sign, quoted or plain) for sign, quoted, plain in _TERM.findall(pattern)]
    required = [term for sign, term in terms if not sign]
    optional = [term for sign, term in terms if sign == "?"]
    excluded = [term for sign, term in terms if sign == "-"]
    return (
        all(term in message for term in required)
        and (not optional or any(term in message for term in optional))
        and not any(term in message for term in excluded)
    )


def check(pattern: str) -> None:
    """Refuse a filter pattern that the embedded cloud can't match.

    Raises:
        UnsupportedPattern: the embedded cloud can't match the pattern.
    """
    matches(pattern, "")
    if pattern.strip().startswith("{"):
        for condition in re.split(r"&&|\|\|", pattern.strip("{} ")):
            _condition_holds(condition, {})


def _matches_json(conditions: str, message: str) -> bool:
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return any(
        all(_condition_holds(condition, document) for condition in alternative.split("&&"))
        for alternative in conditions.split("||")
    )


def _condition_holds(condition: str, document: Any) -> bool:
    match = _CONDITION.fullmatch(condition.strip("() "))
    if match is None:
        raise UnsupportedPattern(f"the embedded cloud can't read the condition {condition!r} of a filter pattern")
    path, comparison, quoted, plain = match.groups()
    value = _field(document, path)
    if value is None:
        return False
    if comparison in ("=", "!="):
        expected = plain if quoted is None else quoted
        text = value if isinstance(value, str) else json.dumps(value)
        is_equal = re.fullmatch(re.escape(expected).replace(r"\*", ".*"), text) is not None
        return is_equal == (comparison == "=")
    try:
        left, right = float(value), float(plain)
    except (TypeError, ValueError):
        return False
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[comparison]


def _field(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _put_metric_filter(
    self: Any, filter_name: str, filter_pattern: str, log_group_name: str, metric_transformations: Any
) -> None:
    try:
        check(filter_pattern or "")
    except UnsupportedPattern as error:
        raise InvalidParameterException(str(error)) from error
    metric_filters.put_metric_filter(self, filter_name, filter_pattern, log_group_name, metric_transformations)


def _put_log_events(self: Any, log_events: list[dict[str, Any]]) -> str:
    token: str = _stock_put(self, log_events)
    filters = logs_backends[self.account_id][self.region].filters.get_matching_filters(
        log_group_name=self.log_group.name
    )
    for event in log_events:
        embedded_metrics.publish(self.account_id, self.region, event["message"])
        for metric_filter in filters:
            _count(self, metric_filter, event)
    return token


def _count(stream: Any, metric_filter: dict[str, Any], event: dict[str, Any]) -> None:
    matched = matches(metric_filter.get("filterPattern") or "", event["message"])
    for transformation in metric_filter["metricTransformations"]:
        value: Any = transformation["metricValue"] if matched else transformation.get("defaultValue")
        if isinstance(value, str) and value.startswith("$."):
            try:
                value = _field(json.loads(event["message"]), value[2:])
            except ValueError:
                value = None
        if value is None:
            continue
        datum = {
            "MetricName": transformation["metricName"],
            "Value": float(value),
            "Timestamp": datetime.datetime.fromtimestamp(event["timestamp"] / 1000, datetime.UTC).replace(tzinfo=None),
        }
        backend = cloudwatch_backends[stream.account_id][stream.region]
        backend.put_metric_data(transformation["metricNamespace"], [datum])


def install() -> None:
    """Turn log events into metric data. Repeated calls change nothing."""
    LogsBackend.put_metric_filter = _put_metric_filter
    LogStream.put_log_events = _put_log_events
