"""Production with a database: one function more, with a role of its own, and a step more in the state machine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from constructs.test_access import WITHOUT_RESOURCES, actions, statements
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from rollback.model.route import EDGES, Step
from stacks.assembly import build, synthesise

Template = dict[str, Any]
KEY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-key-AbCdEf"
URI = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-url-AbCdEf"
DATABASE = {
    "project_id": "quiet-sun-1",
    "branch_id": "br-main-1",
    "api_key_secret_arn": KEY,
    "connection_secret_arn": URI,
    "down_command": ["pnpm", "db:migrate:down", "{tag}"],
}
CONTEXT = {
    "aws:cdk:bundling-stacks": [],
    "rollback:environments": "production",
    "rollback:overrides": json.dumps({"database": DATABASE}),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    out: Path = synthesise(tmp_path_factory.mktemp("database"), CONTEXT, validate=True)
    found: Template = json.loads((out / "MacroAiProductionRollbackStack.template.json").read_text())
    return found


def of(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


def test_its_template_changes_only_on_purpose(template: Template, snapshot: SnapshotAssertion) -> None:
    masked = json.loads(re.sub(r"[0-9a-f]{64}", "ASSET", json.dumps(template)))
    assert masked == snapshot(extension_class=JSONSnapshotExtension)


def test_its_function_has_the_time_that_the_policy_says(template: Template) -> None:
    (function,) = (f for f in of(template, "AWS::Lambda::Function") if f["FunctionName"].endswith("-rollback-database"))
    assert (function["Timeout"], function["Handler"]) == (240, "rollback.handlers.database")


def test_the_key_is_read_by_the_two_functions_that_speak_to_neon_and_no_other(template: Template) -> None:
    readers = {
        name
        for name in ("decide", "service", "report", "promote", "database")
        if any("secretsmanager:GetSecretValue" in actions(s) for s in statements(template, name))
    }
    assert readers == {"report", "database"}
    for name in readers:
        (reading,) = (s for s in statements(template, name) if "secretsmanager:GetSecretValue" in actions(s))
        assert set([reading["Resource"]] if isinstance(reading["Resource"], str) else reading["Resource"]) <= {KEY, URI}


def test_what_it_may_change_is_what_a_fence_a_recreated_branch_and_a_down_migration_need(template: Template) -> None:
    allowed = set().union(*(actions(s) for s in statements(template, "database")))
    reading = ("Get", "List", "Describe", "BatchGet", "Query", "Condition")
    kept = ("dynamodb:", "logs:Create", "logs:Put", "xray:")
    changing = {a for a in allowed if not a.startswith(kept) and not a.split(":")[1].startswith(reading)}
    assert changing == {
        "application-autoscaling:RegisterScalableTarget",
        "ecs:UpdateService",
        "ecs:RunTask",
        "ecs:StopTask",
        "iam:PassRole",
        "secretsmanager:PutSecretValue",
    }
    for statement in statements(template, "database"):
        if statement["Resource"] == "*":
            assert actions(statement) <= WITHOUT_RESOURCES


def test_deployments_and_the_schedule_reach_it_too(template: Template) -> None:
    rules = of(template, "AWS::Events::Rule")
    told = [r["Name"] for r in rules if any("FunctionsDatabase" in json.dumps(t["Arn"]) for t in r["Targets"])]
    assert sorted(name.removeprefix("macro-ai-production-rollback-") for name in told) == [
        "janitor",
        "on-deployment-completed",
        "on-deployment-in-progress",
    ]


def test_its_state_machine_has_all_steps_of_the_route(template: Template) -> None:
    (machine,) = (m for m in of(template, "AWS::StepFunctions::StateMachine") if "promotion" not in json.dumps(m))
    states = json.loads(machine["DefinitionString"])["States"]
    for step, targets in EDGES.items():
        if step is not Step.DONE:
            leads = {choice["StringEquals"] for choice in states[f"Choose after {step}"]["Choices"]}
            assert leads == {target.value for target in targets}


def test_the_review_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    build(tmp_path, CONTEXT, review=True).synth()
