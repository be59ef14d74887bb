"""The templates of all three environments: unchanged, and valid."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from rollback.names import RATE_ALARMS, STATE_ALARMS, degraded_alarm, outage_alarm

Template = dict[str, Any]
STACKS = [
    f"MacroAi{name}{kind}" for name in ("Production", "Staging", "Feature") for kind in ("Stack", "RollbackStack")
]


def properties_of(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


@pytest.mark.parametrize("stack", STACKS[:2])  # `test_environment_differences.py` holds the others against these
def test_a_template_changes_only_on_purpose(
    stack: str, templates: dict[str, Template], snapshot: SnapshotAssertion
) -> None:
    masked = json.loads(re.sub(r"[0-9a-f]{64}", "ASSET", json.dumps(templates[stack])))
    assert masked == snapshot(extension_class=JSONSnapshotExtension)


def test_each_environment_has_two_stacks(templates: dict[str, Template]) -> None:
    assert sorted(templates) == sorted(STACKS)


def test_cfn_lint_accepts_every_template(assembly: Path, database_assembly: Path) -> None:
    files = sorted(str(path) for folder in (assembly, database_assembly) for path in folder.glob("*.template.json"))
    linter = Path(sys.executable).with_name("cfn-lint")
    # W3005: CDK writes a DependsOn that a reference implies. W6001: the output Settings repeats the functions'
    # settings, and the URL of the load balancer in it is imported.
    process = subprocess.run(
        [linter, "--regions", "eu-west-1", "--ignore-checks", "W3005", "W6001", "--", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_no_template_contains_the_path_of_the_project(templates: dict[str, Template]) -> None:
    assert str(Path(__file__).parents[2]) not in json.dumps(templates)


def test_every_event_target_gives_up_within_minutes_and_keeps_undelivered_events(
    templates: dict[str, Template],
) -> None:
    targets = [
        target
        for name in STACKS
        for rule in properties_of(templates[name], "AWS::Events::Rule")
        for target in rule["Targets"]
    ]
    assert len(targets) == 3 * 10
    for target in targets:
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 300
        assert target["DeadLetterConfig"]
        assert not {"Input", "InputPath", "InputTransformer"} & set(target)


def test_rule_11_no_trigger_alarm_treats_missing_data_as_missing(templates: dict[str, Template]) -> None:
    for name in STACKS:
        alarms = properties_of(templates[name], "AWS::CloudWatch::Alarm")
        leaves = [a for a in alarms if any(a["AlarmName"].endswith(leaf) for leaf in (*RATE_ALARMS, *STATE_ALARMS))]
        assert len(leaves) == (7 if "Rollback" in name else 0)
        assert {alarm["TreatMissingData"] for alarm in leaves} <= {"notBreaching", "breaching"}


def test_the_functions_find_the_composite_alarms_by_name(templates: dict[str, Template]) -> None:
    names = {alarm["AlarmName"] for alarm in properties_of(templates[STACKS[1]], "AWS::CloudWatch::CompositeAlarm")}
    prefix, service = "macro-ai-production", "express-api"
    assert names == {degraded_alarm(prefix, service), outage_alarm(prefix, service)}


def test_production_can_not_be_deleted_by_accident(templates: dict[str, Template]) -> None:
    (table,) = (r for r in templates[STACKS[1]]["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table")
    assert table["DeletionPolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_repository_first_keeps_the_images_that_a_rollback_needs(templates: dict[str, Template]) -> None:
    (repository,) = properties_of(templates[STACKS[0]], "AWS::ECR::Repository")
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    first = min(rules, key=lambda rule: int(rule["rulePriority"]))
    assert first["selection"]["tagPrefixList"] == ["last-known-good-"]


def test_the_service_keeps_its_capacity_while_it_deploys(templates: dict[str, Template]) -> None:
    (service,) = properties_of(templates[STACKS[0]], "AWS::ECS::Service")
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert "DesiredCount" not in service  # a deployment must not undo what autoscaling decided
