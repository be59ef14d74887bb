"""Consequences of a change of an alarm's state: always the EventBridge event, and the actions unless disabled."""

import datetime
import json
import logging
import threading
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.cloudwatch.evaluation import returns_data
from local_cloud.events import rules as event_rules
from local_cloud.iam import credentials

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviousState:
    """The state of an alarm before a change."""

    value: str
    reason: str
    reason_data: str | None
    updated: datetime.datetime


def announce(alarm: Any, previous: PreviousState) -> None:
    """Emit `CloudWatch Alarm State Change`, then run the actions of the new state in the background.

    Detail: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    account = alarm.alarm_arn.split(":")[4]
    detail = {
        "alarmName": alarm.name,
        "state": _state(alarm.state_value, alarm.state_reason, alarm.state_reason_data, alarm.state_updated_timestamp),
        "previousState": _state(previous.value, previous.reason, previous.reason_data, previous.updated),
        "configuration": _configuration(alarm),
    }
    source, detail_type = "aws.cloudwatch", "CloudWatch Alarm State Change"
    event_rules.emit(account, alarm.region_name, source, detail_type, detail, [alarm.alarm_arn])
    if alarm.actions_enabled:
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(
            alarm.state_value, alarm.insufficient_data_actions
        )
        for arn in actions:
            message = _notification(alarm, previous, account) if ":sns:" in arn else _invocation(alarm, detail, account)
            threading.Thread(target=_act, args=(arn, alarm, message), name=f"alarm-{alarm.name}", daemon=True).start()


def _state(value: str, reason: str, reason_data: str | None, moment: datetime.datetime) -> dict[str, str]:
    state = {"value": value, "reason": reason, "timestamp": _iso(moment)}
    return state | ({"reasonData": reason_data} if reason_data and reason_data != "{}" else {})


def _iso(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _configuration(alarm: Any) -> dict[str, Any]:
    described = {"description": alarm.description} if alarm.description else {}
    if alarm.rule is not None:
        return described | {"alarmRule": alarm.rule}
    if alarm.metric_data_queries:
        return described | {"metrics": [_query(query) for query in alarm.metric_data_queries]}
    stat = {
        "metric": _metric(alarm.namespace, alarm.metric_name, alarm.dimensions),
        "period": int(alarm.period),
        "stat": alarm.extended_statistic or alarm.statistic,
    }
    return described | {"metrics": [{"id": "m1", "metricStat": stat, "returnData": True}]}


def _query(query: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"id": query.id, "returnData": returns_data(query)}
    if query.label:
        described["label"] = query.label
    if query.expression:
        return described | {"expression": query.expression}
    stat = query.metric_stat
    metric = _metric(stat.metric.namespace, stat.metric.metric_name, stat.metric.dimensions)
    return described | {"metricStat": {"metric": metric, "period": int(stat.period), "stat": stat.stat}}


def _metric(namespace: str, name: str, dimensions: list[Any]) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "dimensions": {d.name: d.value for d in dimensions}}


def _notification(alarm: Any, previous: PreviousState, account: str) -> dict[str, Any]:
    """Return the message that an SNS action publishes."""
    subject: dict[str, Any] = {"AlarmRule": alarm.rule}
    if alarm.rule is None:
        subject = {
            "Trigger": {
                "MetricName": alarm.metric_name,
                "Namespace": alarm.namespace,
                "Statistic": alarm.statistic,
                "Period": alarm.period,
                "EvaluationPeriods": alarm.evaluation_periods,
                "ComparisonOperator": alarm.comparison_operator,
                "Threshold": alarm.threshold,
                "TreatMissingData": alarm.treat_missing_data,
            }
        }
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _iso(alarm.state_updated_timestamp),
        "Region": alarm.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": previous.value,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
    } | subject


def _invocation(alarm: Any, detail: dict[str, Any], account: str) -> dict[str, Any]:
    """Return the payload of a Lambda action."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.alarm_arn,
        "accountId": account,
        "time": _iso(alarm.state_updated_timestamp),
        "region": alarm.region_name,
        "alarmData": detail,
    }


def _act(arn: str, alarm: Any, message: dict[str, Any]) -> None:
    service_name, region = arn.split(":")[2:4]
    try:
        if service_name == "sns":
            client = credentials.service_client("sns", region)
            subject = f'{alarm.state_value}: "{alarm.name}" in {region}'[:100]
            client.publish(TopicArn=arn, Message=json.dumps(message), Subject=subject)
        elif service_name == "lambda":
            client = credentials.service_client("lambda", region)
            client.invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps(message).encode())
        else:
            _logger.warning("alarm %s: action %s was not run: the embedded cloud runs SNS and Lambda", alarm.name, arn)
    except (ClientError, BotoCoreError) as error:
        _logger.warning("alarm %s: action %s failed: %s", alarm.name, arn, error)
