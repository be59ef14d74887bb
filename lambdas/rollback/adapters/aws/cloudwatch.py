"""CloudWatch: states and history of alarms, and request counts."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.aws.errors import aws_call
from rollback.adapters.aws.paging import batches
from rollback.adapters.aws.traffic import traffic_minutes, traffic_queries
from rollback.names import ERROR_LOGS_METRIC
from rollback.resources.aws.error_logs import ErrorLogCount
from rollback.resources.aws.traffic import TrafficMinute

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import AlarmTypeType
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

# Without this parameter DescribeAlarms leaves composite alarms out.
_ALARM_TYPES: "tuple[AlarmTypeType, ...]" = ("MetricAlarm", "CompositeAlarm")
_NAMES_A_CALL = 100
_PERIOD = timedelta(minutes=1)
_QUERIES_A_CALL = 500  # CloudWatch API, GetMetricData
_COARSE_SECONDS = 300
_COUNTED_PROTOCOLS = frozenset({"HTTP", "HTTPS"})  # only application load balancers use them (ELB API)


class CloudWatchAlarms:
    """Adapter. `balancers` names the load balancer of a target group."""

    def __init__(self, client: "CloudWatchClient", balancers: "ElasticLoadBalancingv2Client") -> None:
        self._client = client
        self._balancers = balancers

    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        """Call DescribeAlarms."""
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in self._describe_alarms(names)}

    def in_alarm_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        """Call DescribeAlarms and read StateTransitionedTimestamp, which a confirmed state does not renew."""
        alarms_in_alarm = [alarm for alarm in self._describe_alarms(names) if alarm["StateValue"] == "ALARM"]
        return {
            a["AlarmName"]: a.get("StateTransitionedTimestamp") or a["StateUpdatedTimestamp"] for a in alarms_in_alarm
        }

    def _describe_alarms(self, names: tuple[str, ...]) -> Iterator[Any]:
        for batch in batches(names, _NAMES_A_CALL):
            with aws_call("DescribeAlarms", ", ".join(batch)):
                pages = self._client.get_paginator("describe_alarms").paginate(
                    AlarmNames=batch, AlarmTypes=_ALARM_TYPES
                )
                alarms = [
                    a for page in pages for a in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ()))
                ]
            yield from alarms

    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Call DescribeAlarmHistory, which goes back 30 days."""
        return tuple(name for name in names if self._has_entered_alarm(name, since))

    def _has_entered_alarm(self, name: str, since: datetime) -> bool:
        with aws_call("DescribeAlarmHistory", name):
            return any(at > since and is_transition_to_alarm(data) for at, data in self._history(name, since))

    def _history(self, name: str, since: datetime) -> "Iterator[tuple[datetime, str]]":
        """Iterate over state changes, newest first: time, and CloudWatch's JSON about the change."""
        pages = self._client.get_paginator("describe_alarm_history").paginate(
            AlarmName=name,
            AlarmTypes=_ALARM_TYPES,
            HistoryItemType="StateUpdate",
            StartDate=since,
            EndDate=datetime.now(UTC) + _PERIOD,
            ScanBy="TimestampDescending",
        )
        for page in pages:
            yield from ((item["Timestamp"], item.get("HistoryData", "")) for item in page["AlarmHistoryItems"])

    def state_before(self, name: str, since: datetime) -> str | None:
        """Call DescribeAlarmHistory and read the last transition into ALARM."""
        with aws_call("DescribeAlarmHistory", name):
            return next(
                (previous_state_in(data) for _, data in self._history(name, since) if is_transition_to_alarm(data)),
                None,
            )

    def mute_rules(self, name: str) -> tuple[str, ...]:
        """Call ListAlarmMuteRules for the ACTIVE rules of the alarm."""
        with aws_call("ListAlarmMuteRules", name):
            pages = self._client.get_paginator("list_alarm_mute_rules").paginate(AlarmName=name, Statuses=["ACTIVE"])
            arns = [rule["AlarmMuteRuleArn"] for page in pages for rule in page.get("AlarmMuteRuleSummaries", ())]
        return tuple(arn.rsplit(":", 1)[-1] for arn in arns)

    def without_data(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Call DescribeAlarms for the metrics of the alarms, then GetMetricData."""
        metrics = [
            (alarm["AlarmName"], metric, statistic)
            for alarm in self._describe_alarms(names)
            for metric, statistic in _described_metrics(alarm)
        ]
        with_data: set[str] = set()
        for batch in batches(metrics, _QUERIES_A_CALL):
            queries: list[Any] = [
                {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": _COARSE_SECONDS, "Stat": statistic}}
                for number, (_, metric, statistic) in enumerate(batch)
            ]
            with aws_call("GetMetricData", ", ".join(names)):
                pages = self._client.get_paginator("get_metric_data").paginate(
                    MetricDataQueries=queries, StartTime=since, EndTime=datetime.now(UTC) + _PERIOD
                )
                ids = {result["Id"] for page in pages for result in page["MetricDataResults"] if result["Values"]}
            with_data |= {batch[int(number.removeprefix("m"))][0] for number in ids}
        return tuple(dict.fromkeys(name for name, _, _ in metrics if name not in with_data))

    def error_logs_between(self, namespace: str, since: datetime, until: datetime) -> ErrorLogCount:
        """Call GetMetricData in periods of a minute."""
        query: Any = {
            "Id": "errors",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": ERROR_LOGS_METRIC},
                "Period": int(_PERIOD.total_seconds()),
                "Stat": "Sum",
            },
        }
        with aws_call("GetMetricData", namespace):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=[query], StartTime=since, EndTime=until
            )
            values = [value for page in pages for result in page["MetricDataResults"] for value in result["Values"]]
        return ErrorLogCount(errors=float(sum(values)), minutes_with_data=len(values))

    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float | None:
        """Count from the full minute of `since` on."""
        begin = since.replace(second=0, microsecond=0)
        return self.requests_between(target_groups, begin, datetime.now(UTC) + _PERIOD)

    def requests_between(self, target_groups: tuple[str, ...], since: datetime, until: datetime) -> float | None:
        """Call DescribeTargetGroups for the load balancers, then GetMetricData in periods of a minute.

        A network load balancer publishes no `RequestCount` (Network Load Balancer user guide, "CloudWatch metrics").
        """
        pairs, counts_requests = self._counting_pairs(target_groups)
        if not counts_requests:
            return None
        if not pairs:
            return 0.0
        with aws_call("GetMetricData", ", ".join(target_groups)):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=list(_request_counts(pairs)),
                StartTime=since,
                EndTime=until,
            )
            return float(sum(sum(r["Values"]) for page in pages for r in page["MetricDataResults"]))

    def traffic(
        self, target_groups: tuple[str, ...], since: datetime, until: datetime, *, with_balancer_errors: bool
    ) -> tuple[TrafficMinute, ...] | None:
        """Call DescribeTargetGroups for the load balancers, then GetMetricData in periods of a minute."""
        begin = since.replace(second=0, microsecond=0)
        pairs, counts_requests = self._counting_pairs(target_groups)
        if not counts_requests:
            return None
        if not pairs or until <= begin:
            return ()
        with aws_call("GetMetricData", ", ".join(target_groups)):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=list(traffic_queries(pairs, with_balancer_errors=with_balancer_errors)),
                StartTime=begin,
                EndTime=until,
            )
            results = [result for page in pages for result in page["MetricDataResults"]]
        return traffic_minutes(results, begin, with_balancer_errors=with_balancer_errors)

    def _counting_pairs(self, target_groups: tuple[str, ...]) -> tuple[list[tuple[str, str]], bool]:
        """Return each target group with each of its load balancers that count requests, by ELB's names in CloudWatch.

        The second value tells whether requests are counted: not without a target group, and not if all load balancers
        are network load balancers.
        """
        if not target_groups:
            return [], False
        with aws_call("DescribeTargetGroups", ", ".join(target_groups)):
            pages = self._balancers.get_paginator("describe_target_groups").paginate(
                TargetGroupArns=list(target_groups)
            )
            groups = [group for page in pages for group in page["TargetGroups"]]
        pairs = [
            (dimension_of(group["TargetGroupArn"]), dimension_of(arn), group.get("Protocol") in _COUNTED_PROTOCOLS)
            for group in groups
            for arn in group.get("LoadBalancerArns", ())
        ]
        counting = [(group, balancer) for group, balancer, is_counted in pairs if is_counted]
        return counting, bool(counting) or not pairs


def _described_metrics(alarm: Any) -> "Iterator[tuple[dict[str, Any], str]]":
    """Iterate over the metrics that an alarm reads, each with its statistic."""
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
    if alarm.get("MetricName"):
        metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions") if name in alarm}
        yield metric, alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "SampleCount"


def is_transition_to_alarm(history_data: str) -> bool:
    """Report whether a StateUpdate of DescribeAlarmHistory is a transition into ALARM."""
    try:
        return bool(json.loads(history_data)["newState"]["stateValue"] == "ALARM")
    except (ValueError, KeyError, TypeError):
        return False


def previous_state_in(history_data: str) -> str | None:
    """Return the state that a StateUpdate of DescribeAlarmHistory left, or None if it names none."""
    try:
        return str(json.loads(history_data)["oldState"]["stateValue"])
    except (ValueError, KeyError, TypeError):
        return None


def dimension_of(arn: str) -> str:
    """Return ELB's name of a resource in CloudWatch: `targetgroup/<name>/<id>`, `app/<name>/<id>`."""
    return arn.split(":", 5)[5].removeprefix("loadbalancer/")


def _request_counts(pairs: Iterable[tuple[str, str]]) -> "Iterable[MetricDataQueryTypeDef]":
    for number, (group, balancer) in enumerate(pairs):
        yield {
            "Id": f"requests{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB",
                    "MetricName": "RequestCount",
                    "Dimensions": [
                        {"Name": "TargetGroup", "Value": group},
                        {"Name": "LoadBalancer", "Value": balancer},
                    ],
                },
                "Period": int(_PERIOD.total_seconds()),
                "Stat": "Sum",
            },
        }
