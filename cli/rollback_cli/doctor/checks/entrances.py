"""Entrances of a rollback: who may start the state machines and the functions, and put what failed into the queues."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from rollback.errors import CallRefused
from rollback_cli.doctor.aws_api import is_gone
from rollback_cli.doctor.checks.events import RULES, expected_targets, machine_arns, queue_url, read_rules, read_targets
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter
from rollback_cli.doctor.required_permissions import Need
from rollback_cli.doctor.simulate import denied_permissions

_EVENTS = "events.amazonaws.com"
_MACHINES = {
    "workflow": ("decide", "service", "report", "database"),
    "promotion": ("promote",),
    "release-watch": ("promote",),
}


def entrance_questions(x: Examination) -> list[Question]:
    """Ask about the state machines, the roles of the rules, and the policies of functions and queues."""
    invoked = [name for name in x.functions if any(name in targets for targets in RULES.values())]
    return [
        *(question(Group.ENTRANCES, f"{name}-may-run", partial(_machine, name, x)) for name in machine_arns(x)),
        question(Group.ENTRANCES, "rules-may-start-state-machines", partial(_starts, x)),
        *(question(Group.ENTRANCES, f"rules-may-invoke-{name}", partial(_invokes, name, x)) for name in invoked),
        question(Group.ENTRANCES, "rules-may-use-the-dead-letter-queue", partial(_dead_letters, x)),
    ]


def _machine(name: str, x: Examination, report: Reporter) -> Finding:
    to_do = f"run `cdk deploy {x.stack_name}` again"
    arn = machine_arns(x)[name]
    try:
        machine = x.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=arn)
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        return report.failed(f"there is no state machine {arn}", to_do)
    functions = tuple(x.function_arn(function) for function in _MACHINES[name] if function in x.functions)
    denied = denied_permissions(machine["roleArn"], [Need(("lambda:InvokeFunction",), functions)], x.aws)
    problems = [f"its role is denied {item}" for item in denied]
    if machine.get("status", "ACTIVE") != "ACTIVE":
        problems.append(f"it is {machine['status']}")
    return report.judged(problems, f"ACTIVE; its role may invoke {len(functions)} functions", to_do)


def _starts(x: Examination, report: Reporter) -> Finding:
    to_do = f"run `cdk deploy {x.stack_name}` again"
    problems, roles = [], dict[tuple[str, str], str]()
    for rule in RULES:
        machines = {arn for name, arn in expected_targets(rule, x).items() if name in _MACHINES}
        for found in read_rules(rule, x) if machines else ():
            for target in read_targets(found["Name"], x):
                if target["Arn"] in machines and target.get("RoleArn"):
                    roles[target["RoleArn"], target["Arn"]] = found["Name"]
                elif target["Arn"] in machines:
                    problems.append(f"{found['Name']} has no role")
    for (role, machine), rule in roles.items():
        denied = denied_permissions(role, [Need(("states:StartExecution",), (machine,))], x.aws)
        problems += [f"the role of {rule} is denied {item}" for item in denied]
    if not roles and not problems:
        return report.not_looked_at("no rule has a state machine as its target", to_do)
    return report.judged(problems, f"{len(roles)} pairs of role and state machine are allowed", to_do)


def _invokes(function: str, x: Examination, report: Reporter) -> Finding:
    to_do = f"run `cdk deploy {x.stack_name}` again"
    try:
        answer = x.aws.call("lambda", "GetPolicy", FunctionName=x.function_name(function))
        policy = json.loads(answer["Policy"])
    except CallRefused as refused:
        if not is_gone(refused):
            raise
        policy = {"Statement": []}
    rules = [found["Arn"] for rule, targets in RULES.items() if function in targets for found in read_rules(rule, x)]
    problems = [
        f"{function}'s policy does not let {rule.rsplit('/', 1)[-1]} invoke the function"
        for rule in rules
        if not _lets_in(policy, "lambda:InvokeFunction", rule)
    ]
    return report.judged(problems, f"{len(rules)} rules may invoke the function", to_do)


def _dead_letters(x: Examination, report: Reporter) -> Finding:
    attributes = x.aws.call(
        "sqs", "GetQueueAttributes", QueueUrl=queue_url("dead-letters", x), AttributeNames=["Policy"]
    )
    policy = json.loads(attributes.get("Attributes", {}).get("Policy") or '{"Statement": []}')
    rules = [found["Arn"] for rule in RULES for found in read_rules(rule, x)]
    problems = [
        f"the queue's policy does not take events of {rule.rsplit('/', 1)[-1]}"
        for rule in rules
        if not _lets_in(policy, "sqs:SendMessage", rule)
    ]
    seen = f"the queue takes the events of {len(rules)} rules"
    return report.judged(problems, seen, f"run `cdk deploy {x.stack_name}` again")


def _lets_in(policy: Mapping[str, Any], action: str, rule_arn: str) -> bool:
    """Report whether a resource policy lets EventBridge act for a rule: principal, action and `aws:SourceArn`."""
    return any(
        statement.get("Effect") == "Allow"
        and _EVENTS in _as_list((statement.get("Principal") or {}).get("Service"))
        and any(fnmatchcase(action.lower(), allowed.lower()) for allowed in _as_list(statement.get("Action")))
        and _is_of_rule(statement.get("Condition") or {}, rule_arn)
        for statement in policy["Statement"]
        if isinstance(statement.get("Principal"), Mapping)
    )


def _is_of_rule(conditions: Mapping[str, Mapping[str, Any]], rule_arn: str) -> bool:
    sources = [
        str(arn)
        for keys in conditions.values()
        for key, value in keys.items()
        if key.lower() == "aws:sourcearn"
        for arn in _as_list(value)
    ]
    return not sources or any(fnmatchcase(rule_arn, pattern) for pattern in sources)


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
