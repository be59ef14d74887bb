"""Upgrade of a stack of the previous release: CloudFormation updates each resource in place, and removes none.

An open rollback depends on that: its execution calls the functions by their names, its record is in the table, and its
task token is encrypted by the key. The previous release is a fixture (`tests/previous_release`).
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from previous_release.fixture import VARIANTS, Template, templates_of, unpack_code, upgraded_templates

from rollback.domain.settings.environment import SETTINGS_VARIABLE, Settings

PRODUCT = "MacroAiProductionRollbackStack"
# Logical id → why an upgrade may remove the resource; and `<logical id>/<property>` → why it may be replaced.
REMOVED: Mapping[str, str] = {}
REPLACED: Mapping[str, str] = {}
# Action → why the previous release's code can do without, in the seconds between the policy's update and the code's.
NO_LONGER_GRANTED: Mapping[str, str] = {}
_PROTECTED = ("DeletionPolicy", "UpdateReplacePolicy")

Upgrade = tuple[str, str]  # variant, stack


def _upgrades() -> list[Upgrade]:
    return [(variant, stack) for variant in VARIANTS for stack in templates_of(variant)]


def _templates(upgrade: Upgrade) -> tuple[Template, Template]:
    variant, stack = upgrade
    return templates_of(variant)[stack], upgraded_templates(variant)[stack]


upgrades = pytest.mark.parametrize("upgrade", _upgrades(), ids="-".join)


def removed(before: Template, after: Template) -> list[str]:
    """Name the resources that CloudFormation deletes: their logical id is gone, or has another type."""
    kept = after["Resources"]
    return [
        name
        for name, resource in before["Resources"].items()
        if name not in REMOVED and (name not in kept or kept[name]["Type"] != resource["Type"])
    ]


def replaced(before: Template, after: Template) -> list[str]:
    """Name the properties whose change makes CloudFormation create another resource and delete this one.

    CloudFormation's own schema of each resource type lists them (`createOnlyProperties`, and
    `conditionalCreateOnlyProperties` where only some changes replace); cfn-lint has the schemas.
    """
    return [
        f"{name}/{path}"
        for name, resource in before["Resources"].items()
        if name in after["Resources"] and resource["Type"] != "AWS::CDK::Metadata"
        for path in _fixed_properties(resource["Type"])
        if _value(resource, path) != _value(after["Resources"][name], path) and f"{name}/{path}" not in REPLACED
    ]


@cache
def _fixed_properties(kind: str) -> tuple[str, ...]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", kind).schema
    pointers = (*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ()))
    return tuple(pointer.removeprefix("/properties/") for pointer in pointers)


def _value(resource: Mapping[str, Any], path: str) -> Any:
    value: Any = resource.get("Properties", {})
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def unprotected(before: Template, after: Template) -> list[str]:
    """Name the resources that CloudFormation kept at a deletion, and would delete now."""
    return [
        f"{name}/{policy}"
        for name, resource in before["Resources"].items()
        for policy in _PROTECTED
        if resource.get(policy) == "Retain" and after["Resources"].get(name, {}).get(policy) != "Retain"
    ]


@upgrades
def test_an_upgrade_removes_no_resource(upgrade: Upgrade) -> None:
    assert removed(*_templates(upgrade)) == []


@upgrades
def test_an_upgrade_replaces_no_resource(upgrade: Upgrade) -> None:
    assert replaced(*_templates(upgrade)) == []


@upgrades
def test_an_upgrade_keeps_the_protection_of_data(upgrade: Upgrade) -> None:
    assert unprotected(*_templates(upgrade)) == []


@upgrades
def test_an_upgrade_keeps_the_outputs_which_older_commands_read(upgrade: Upgrade) -> None:
    before, after = _templates(upgrade)
    kept = {name: output.get("Export") for name, output in after["Outputs"].items()}
    assert {name: output.get("Export") for name, output in before["Outputs"].items()}.items() <= kept.items()


def _plant(change: str, template: Template) -> None:
    resources = template["Resources"]
    table = next(name for name, resource in resources.items() if resource["Type"] == "AWS::DynamoDB::Table")
    function = next(name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Function")
    match change:
        case "another logical id":
            resources["Another"] = resources.pop(table)
        case "another type":
            resources[table]["Type"] = "AWS::DynamoDB::GlobalTable"
        case "another name":
            resources[function]["Properties"]["FunctionName"] += "-2"
        case "another key":
            resources[table]["Properties"]["KeySchema"][0]["AttributeName"] = "id"
        case "deletable":
            resources[table]["DeletionPolicy"] = "Delete"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("another logical id", (1, 0, 2)),
        ("another type", (1, 0, 0)),
        ("another name", (0, 1, 0)),
        ("another key", (0, 1, 0)),
        ("deletable", (0, 0, 1)),
    ],
)
def test_a_change_that_is_not_in_place_is_found(change: str, found: tuple[int, int, int]) -> None:
    before, after = templates_of("shipped")[PRODUCT], templates_of("shipped")[PRODUCT]
    _plant(change, after)
    assert (len(removed(before, after)), len(replaced(before, after)), len(unprotected(before, after))) == found


def _granted(template: Template) -> dict[str, set[str]]:
    """Map the logical id of each function's role to the actions that its policies allow."""
    resources = template["Resources"]
    roles = {
        resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    granted: dict[str, set[str]] = {role: set() for role in roles}
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Policy":
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                for role in resource["Properties"]["Roles"]:
                    granted.setdefault(role["Ref"], set()).update(actions)
    return granted


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_upgrade_takes_no_permission_from_code_that_still_runs(variant: str) -> None:
    before, after = _granted(templates_of(variant)[PRODUCT]), _granted(upgraded_templates(variant)[PRODUCT])
    lost = {role: actions - after.get(role, set()) - set(NO_LONGER_GRANTED) for role, actions in before.items()}
    assert {role: sorted(actions) for role, actions in lost.items() if actions} == {}


def _settings(template: Template) -> Iterator[str]:
    """Yield the settings as the functions and the output have them; a value that is known later is a stand-in."""
    functions = (r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    for value in (
        *(function["Properties"]["Environment"]["Variables"][SETTINGS_VARIABLE] for function in functions),
        template["Outputs"]["Settings"]["Value"],
    ):
        parts = [value] if isinstance(value, str) else value["Fn::Join"][1]
        yield "".join(part if isinstance(part, str) else "stand-in" for part in parts)


@pytest.mark.parametrize("variant", VARIANTS)
def test_todays_code_reads_the_settings_of_the_previous_release(variant: str) -> None:
    for text in set(_settings(templates_of(variant)[PRODUCT])):
        assert Settings.model_validate_json(text).services


_READS = """
import sys
import rollback
from rollback.domain.settings.environment import Settings
assert rollback.__path__[0].startswith(sys.argv[1]), rollback.__path__
for line in sys.stdin:
    print(len(Settings.model_validate_json(line).services))
"""


@pytest.mark.parametrize("variant", VARIANTS)
def test_code_of_the_previous_release_reads_the_settings_that_an_upgrade_gives_it(variant: str, tmp_path: Path) -> None:
    """CloudFormation changes a function's variables and its code in two calls, so the old code may meet them."""
    unpack_code(tmp_path)
    texts = sorted(set(_settings(upgraded_templates(variant)[PRODUCT])))
    assert not any("\n" in text for text in texts)

    reader = subprocess.run(
        [sys.executable, "-c", _READS, str(tmp_path)],
        input="\n".join(texts),
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert reader.stdout.split() == [str(len(json.loads(text)["services"])) for text in texts], reader.stderr


def test_the_fixture_names_no_path_of_a_machine() -> None:
    for variant in VARIANTS:
        text = json.dumps(templates_of(variant))
        assert not re.search(r"/(work|home|tmp|Users)/", text), variant
