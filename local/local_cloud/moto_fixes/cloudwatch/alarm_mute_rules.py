"""Alarm mute rules, which moto lacks (CloudWatch API reference: Put-, Delete- and ListAlarmMuteRules).

In CloudWatch, an ACTIVE rule suppresses its alarms' actions. States still change and events are still sent. Here a rule
only shows its status: the schedule is not followed. A rule is ACTIVE from StartDate to ExpireDate. Without these dates
it is ACTIVE at once and for ever.
"""

import datetime
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult


def _rules(response: Any) -> dict[str, dict[str, Any]]:
    backend = response.cloudwatch_backend
    if not hasattr(backend, "alarm_mute_rules"):
        backend.alarm_mute_rules = {}
    rules: dict[str, dict[str, Any]] = backend.alarm_mute_rules
    return rules


def _put(response: Any) -> Any:
    name = response._get_param("Name")
    _rules(response)[name] = {
        "arn": f"arn:aws:cloudwatch:{response.region}:{response.current_account}:alarm-mute-rule:{name}",
        "alarms": (response._get_param("MuteTargets") or {}).get("AlarmNames", []),
        "start": response._get_param("StartDate"),
        "expire": response._get_param("ExpireDate"),
    }
    return EmptyResult()


def _delete(response: Any) -> Any:
    _rules(response).pop(response._get_param("AlarmMuteRuleName"), None)
    return EmptyResult()


def _list(response: Any) -> Any:
    alarm, statuses = response._get_param("AlarmName"), response._get_param("Statuses")
    summaries = [
        {"AlarmMuteRuleArn": rule["arn"], "Status": status, "MuteType": "ONE_TIME"}
        for _, rule in sorted(_rules(response).items())
        for status in (_status(rule),)
        if (not alarm or alarm in rule["alarms"]) and (not statuses or status in statuses)
    ]
    return ActionResult({"AlarmMuteRuleSummaries": summaries})


def _status(rule: dict[str, Any]) -> str:
    now = datetime.datetime.now(datetime.UTC)
    if rule["expire"] is not None and _moment(rule["expire"]) <= now:
        return "EXPIRED"
    return "SCHEDULED" if rule["start"] is not None and _moment(rule["start"]) > now else "ACTIVE"


def _moment(value: Any) -> datetime.datetime:
    if isinstance(value, int | float):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def install() -> None:
    """Add the operations."""
    CloudWatchResponse.put_alarm_mute_rule = _put
    CloudWatchResponse.delete_alarm_mute_rule = _delete
    CloudWatchResponse.list_alarm_mute_rules = _list
