"""Alarms of each service: do they exist, have data, and watch the service's own load balancer and tasks?"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.watched import Unwatched
from rollback.names import NO_HEALTHY_TARGETS, NO_RUNNING_TASKS, degraded_alarm, leaf_alarms, outage_alarm
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

_DATA_WINDOW = timedelta(hours=1)
_CHILD = re.compile(r'(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*(?:"([^"]+)"|([^")]+?))\s*\)', re.IGNORECASE)
_NAMES_PER_CALL = 100  # CloudWatch API reference, DescribeAlarms


def alarm_questions(x: Examination) -> list[Question]:
    """Ask about the alarms of each service."""
    return [
        question(Group.ALARMS, f"{name}-{service.name}", partial(ask, service, x))
        for service in x.settings.services
        for name, ask in (
            ("alarms-exist", _exist),
            ("error-lines-are-counted", _error_lines),
            ("alarms-have-data", _data),
            ("alarms-watch-this-service", _dimensions),
            ("alarms-are-quiet", _quiet),
        )
    ]


def _read_composites(service: ServiceSettings, x: Examination) -> dict[str, Mapping[str, Any]]:
    """Read the two composite alarms that start rollbacks, by name."""
    names = [degraded_alarm(x.settings.prefix, service.name), outage_alarm(x.settings.prefix, service.name)]
    alarms = x.aws.items(
        "cloudwatch", "DescribeAlarms", "CompositeAlarms", AlarmNames=names, AlarmTypes=["CompositeAlarm"]
    )
    return {alarm["AlarmName"]: alarm for alarm in alarms}


def _read_leaves(
    service: ServiceSettings, composites: Iterable[Mapping[str, Any]], x: Examination
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Read the alarms that the composites' rules name, without the team's own, which may watch anything.

    Returns:
        the alarms; and the names without an alarm, those of the team's own too.
    """
    rules = (alarm["AlarmRule"] for alarm in composites)
    names = sorted(
        {(quoted or bare).rsplit(":alarm:", 1)[-1] for rule in rules for quoted, bare in _CHILD.findall(rule)}
    )
    alarms: list[Mapping[str, Any]] = []
    for start in range(0, len(names), _NAMES_PER_CALL):
        batch = names[start : start + _NAMES_PER_CALL]
        alarms += x.aws.items(
            "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNames=batch, AlarmTypes=["MetricAlarm"]
        )
    extra_names = {extra.alarm for extra in service.extra_alarms}
    found = {alarm["AlarmName"] for alarm in alarms}
    known = found | x.ports.alarms.states(tuple(sorted(extra_names))).keys() if extra_names else found
    missing = [name for name in sorted({*names, *extra_names}) if name not in known]
    return [alarm for alarm in alarms if alarm["AlarmName"] not in extra_names], missing


def _exist(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    prefix = x.settings.prefix
    composites = _read_composites(service, x)
    expected = (degraded_alarm(prefix, service.name), outage_alarm(prefix, service.name))
    leaves, missing = _read_leaves(service, composites.values(), x)
    problems = [f"the composite alarm {name} does not exist" for name in expected if name not in composites]
    problems += [
        f"the alarm {name} does not exist, though a composite alarm or `extra_alarms` names it" for name in missing
    ]
    seen = f"2 composite alarms and {len(leaves)} alarms exist"
    return report.judged(problems, seen, f"run `cdk deploy {x.stack_name}` again, or create the alarm again")


def _error_lines(service: ServiceSettings, _: Examination, report: Reporter) -> Finding:
    if Unwatched.LOG_GROUP in service.unwatched:
        return report.warned(
            "the settings name no log group: no alarm counts error lines, and Verify does not compare them",
            "name the log group, or the team's own alarm about errors in `extra_alarms`",
        )
    return report.passed("a metric filter counts the error lines of the log group")


def _data(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    """Check for data points. Without a count of healthy hosts or running tasks, no outage is detected.

    Other alarms need traffic.
    """
    composites = _read_composites(service, x)
    leaves, _ = _read_leaves(service, composites.values(), x)
    view = x.ports.services.describe(service)
    to_do = "compare the alarm's dimensions with the service's target groups and log group, and send traffic"
    if not leaves:
        return report.not_looked_at("the composite alarms name no alarm that exists", to_do)
    names = tuple(str(alarm["AlarmName"]) for alarm in leaves)
    silent = x.ports.alarms.without_data(names, x.now() - _DATA_WINDOW)
    if view.running_count == 0:
        return report.warned("no task runs, so no alarm can have data", "start the service, then run the doctor again")
    about_outage = NO_HEALTHY_TARGETS if view.target_groups else NO_RUNNING_TASKS
    outage_alarms = leaf_alarms(x.settings.prefix, service.name, (about_outage,))
    blind = [name for name in silent if name in outage_alarms]
    if blind:
        return report.failed(f"no data in the last hour: {', '.join(blind)} can't detect an outage", to_do)
    if silent:
        seen = f"no data in the last hour: {', '.join(silent)}; rates and latencies need traffic"
        return report.warned(seen, to_do)
    return report.passed(f"all {len(names)} alarms had data in the last hour")


def _dimensions(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    view = x.ports.services.describe(service)
    leaves, _ = _read_leaves(service, _read_composites(service, x).values(), x)
    groups = {arn.rsplit(":", 1)[-1] for arn in view.target_groups}
    balancers = set(_load_balancers(view.target_groups, x))
    own = {
        "TargetGroup": groups,
        "LoadBalancer": balancers,
        "ClusterName": {service.cluster},
        "ServiceName": {service.ecs_service},
    }
    problems, watched = [], set[str]()
    for alarm in leaves:
        for name, value in _dimensions_of(alarm):
            if name == "TargetGroup":
                watched.add(value)
            if name in own and value not in own[name]:
                real = ", ".join(sorted(own[name])) or "none"
                problems.append(f"{alarm['AlarmName']} watches {name} {value}; the service has {real}")
    problems += [f"no alarm watches the target group {group}" for group in sorted(groups - watched)]
    to_do = (
        "put the full names of the service's load balancer and target groups into `existing`, then run "
        f"`cdk deploy {x.stack_name}`"
    )
    if not leaves:
        return report.not_looked_at("the composite alarms name no alarm that exists", to_do)
    seen = f"all alarms watch {', '.join(sorted(groups)) or 'no target group'} and {service.ecs_service}"
    return report.judged(dict.fromkeys(problems), seen, to_do)


def _dimensions_of(alarm: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metrics = [alarm, *((query.get("MetricStat") or {}).get("Metric") or {} for query in alarm.get("Metrics") or ())]
    for metric in metrics:
        for dimension in metric.get("Dimensions") or ():
            yield str(dimension["Name"]), str(dimension["Value"])


def _load_balancers(target_groups: tuple[str, ...], x: Examination) -> Iterator[str]:
    """Yield the full names `app/<name>/<id>` of the load balancers in front of some target groups."""
    if not target_groups:
        return
    groups = x.aws.items("elbv2", "DescribeTargetGroups", "TargetGroups", TargetGroupArns=list(target_groups))
    for group in groups:
        for arn in group.get("LoadBalancerArns", ()):
            yield str(arn).split(":loadbalancer/", 1)[-1]


def _quiet(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    """Check that no composite alarm is in ALARM, or muted: an alarm that stays in ALARM sends no further event."""
    composites = _read_composites(service, x)
    status = f"run `rollback status {x.environment}`"
    red = [name for name, alarm in composites.items() if alarm.get("StateValue") == "ALARM"]
    if red:
        return report.warned(f"in ALARM now: {', '.join(red)}, which sends no further event", status)
    muted = {name: x.ports.alarms.mute_rules(name) for name in composites}
    silenced = [f"{name} by {', '.join(rules)}" for name, rules in muted.items() if rules]
    if silenced:
        return report.warned(f"muted now: {'; '.join(silenced)}", "end the mute rule, or wait for its end")
    states = ", ".join(f"{name} is {alarm.get('StateValue')}" for name, alarm in composites.items())
    return report.passed(states or "there is no composite alarm")
