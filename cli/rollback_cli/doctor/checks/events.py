"""EventBridge's rules, their targets, and the queues of what could not be delivered."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from rollback.errors import CallRefused
from rollback.names import degraded_alarm, outage_alarm
from rollback_cli.doctor.aws_api import is_gone
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

# Rule → its targets; `tests/constructs/doctor/test_doctor_expectations.py` compares the table with the templates.
RULES: Mapping[str, tuple[str, ...]] = {
    "on-alarm": ("workflow",),
    "on-deployment-failed": ("workflow",),
    "on-deployment-in-progress": ("promote", "database", "release-watch"),
    "on-deployment-completed": ("promotion", "database"),
    "on-broken-execution": ("report",),
    "on-own-event": ("report",),
    "on-test-event": ("workflow",),
    "janitor": ("report", "promote", "database"),
}
QUEUES = {
    "dead-letters": "an event was not delivered, so a rollback, promotion or janitor sweep may not have started",
    "failed-invocations": "a function failed on an event three times",
}
_SERVICE_RULES = ("on-deployment-failed", "on-deployment-in-progress", "on-deployment-completed")


def event_questions(x: Examination) -> list[Question]:
    """Ask about each rule, about what the rules match, and about both queues."""
    return [
        *(question(Group.EVENTS, f"rule-{name}", partial(_rule, name, x)) for name in RULES),
        question(Group.EVENTS, "rules-match-every-alarm", lambda report: _alarms_match(x, report)),
        question(Group.EVENTS, "rules-match-every-service", lambda report: _services_match(x, report)),
        *(question(Group.EVENTS, f"{name}-are-empty", partial(_queue, name, x)) for name in QUEUES),
    ]


def expected_targets(rule: str, x: Examination) -> dict[str, str]:
    """Map the short names of a rule's targets to their ARNs."""
    machines = machine_arns(x)
    present = (name for name in RULES[rule] if name in machines or name in x.functions)
    return {name: machines.get(name) or x.function_arn(name) for name in present}


def machine_arns(x: Examination) -> dict[str, str]:
    """Map the short names of the environment's state machines to their ARNs."""
    names = ["promotion", *(["release-watch"] if x.settings.release_watch.is_on else [])]
    others = {name: x.arn("states", f"stateMachine:{x.settings.prefix}-{name}") for name in names}
    return {"workflow": x.deployment.workflow_arn, **others}


def read_rules(rule: str, x: Examination) -> list[Mapping[str, Any]]:
    """Read a rule with its continuations `<rule>-2`, …, which exist where its ARNs do not fit into one pattern."""
    name = f"{x.settings.prefix}-rollback-{rule}"
    rules = x.aws.items("events", "ListRules", "Rules", NamePrefix=name)
    return [found for found in rules if re.fullmatch(rf"{re.escape(name)}(-\d+)?", found["Name"])]


def read_targets(rule_name: str, x: Examination) -> list[Mapping[str, Any]]:
    """Read the targets of one rule."""
    return x.aws.items("events", "ListTargetsByRule", "Targets", Rule=rule_name)


def _rule(rule: str, x: Examination, report: Reporter) -> Finding:
    to_do = f"run `cdk deploy {x.stack_name}` again; if the template is unchanged, correct the rule by hand"
    rules = read_rules(rule, x)
    if not rules:
        return report.failed(f"there is no rule {x.settings.prefix}-rollback-{rule}", to_do)
    problems = []
    for found in rules:
        name, expected = found["Name"], expected_targets(rule, x)
        if found.get("State") != "ENABLED":
            problems.append(f"{name} is {found.get('State')}")
        targets = read_targets(name, x)
        arns = {str(target["Arn"]) for target in targets}
        problems += [f"{name} has no target {short}" for short, arn in expected.items() if arn not in arns]
        problems += [f"{name} has an unknown target {arn}" for arn in sorted(arns - set(expected.values()))]
        without_queue = [str(target["Arn"]) for target in targets if not target.get("DeadLetterConfig")]
        problems += [f"{name} loses what it can't deliver to {arn}: no dead-letter queue" for arn in without_queue]
    names = ", ".join(expected_targets(rule, x))
    return report.judged(problems, f"{rules[0]['Name']} is ENABLED, with {names} as target", to_do)


def _alarms_match(x: Examination, report: Reporter) -> Finding:
    prefix = x.settings.prefix
    alarms = [name(prefix, service) for service in x.settings.service_names for name in (degraded_alarm, outage_alarm)]
    arns = [x.arn("cloudwatch", f"alarm:{alarm}") for alarm in alarms]
    return _judge_patterns(arns, ("on-alarm",), "composite alarms", x, report)


def _services_match(x: Examination, report: Reporter) -> Finding:
    arns = [x.arn("ecs", f"service/{service.cluster}/{service.ecs_service}") for service in x.settings.services]
    return _judge_patterns(arns, _SERVICE_RULES, "services", x, report)


def _judge_patterns(arns: Iterable[str], rules: Iterable[str], kind: str, x: Examination, report: Reporter) -> Finding:
    problems, expected = [], list(arns)
    for rule in rules:
        patterns = (json.loads(found.get("EventPattern") or "{}") for found in read_rules(rule, x))
        matched = {arn for pattern in patterns for arn in pattern.get("resources", ()) if isinstance(arn, str)}
        problems += [f"no rule {rule} matches {arn}" for arn in expected if arn not in matched]
    seen = f"the rules name all {len(expected)} {kind}"
    return report.judged(problems, seen, f"run `cdk deploy {x.stack_name}` again")


def queue_url(name: str, x: Examination) -> str:
    """Return the URL of one of the stack's queues."""
    return str(x.aws.call("sqs", "GetQueueUrl", QueueName=f"{x.settings.prefix}-rollback-{name}")["QueueUrl"])


def _queue(name: str, x: Examination, report: Reporter) -> Finding:
    queue = f"{x.settings.prefix}-rollback-{name}"
    try:
        url = queue_url(name, x)
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.failed(f"there is no queue {queue}", f"run `cdk deploy {x.stack_name}` again")
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    attributes = x.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=list(counts))["Attributes"]
    messages = sum(int(attributes.get(count, 0)) for count in counts)
    if not messages:
        return report.passed(f"{queue} has no message")
    to_do = (
        f"read the messages in {queue}, which name event and error; run `rollback status {x.environment}`, then delete "
        "the messages"
    )
    return report.failed(f"{queue} has {messages} messages: {QUEUES[name]}", to_do)
