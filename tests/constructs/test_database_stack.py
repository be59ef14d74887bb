"""Environments with a database: one more function with its own role, and more steps in the state machine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import DATABASES, resources
from constructs.test_access import CHANGES, READING, WITHOUT_RESOURCES, actions, statements
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from stacks.assembly import build

Template = dict[str, Any]
FUNCTIONS = ("decide", "service", "report", "promote", "database")
KEY = DATABASES["production"]["api_key_secret_arn"]
URI = DATABASES["production"]["connection_secret_arn"]
VALUE = "secretsmanager:GetSecretValue"
FENCE = {"events:PutEvents", "sqs:SendMessage", "application-autoscaling:RegisterScalableTarget", "ecs:UpdateService"}
TASKS = {"ecs:RunTask", "ecs:StopTask", "iam:PassRole", "logs:GetLogEvents"}


@pytest.fixture
def template(database_templates: dict[str, Template]) -> Template:
    """Production's template, whose database has every optional setting."""
    return database_templates["MacroAiProductionRollbackStack"]


@pytest.fixture
def minimal(database_templates: dict[str, Template]) -> Template:
    """Staging's template, whose database has no secret to write and no command to run."""
    return database_templates["MacroAiStagingRollbackStack"]


def granted_actions(template: Template, function: str) -> set[str]:
    return set().union(*(actions(statement) for statement in statements(template, function)))


def changing_actions(template: Template, function: str) -> set[str]:
    runtime_prefixes = ("dynamodb:", "logs:Create", "logs:Put", "xray:")
    allowed_actions = granted_actions(template, function)
    return {
        a for a in allowed_actions if not a.startswith(runtime_prefixes) and not a.split(":")[1].startswith(READING)
    }


def resources_of_action(template: Template, function: str, action: str) -> set[str]:
    """Return the resources that an action is allowed on; intrinsic functions as JSON."""
    resource_lists = [s["Resource"] for s in statements(template, function) if action in actions(s)]
    all_resources = [
        resource for listed in resource_lists for resource in (listed if isinstance(listed, list) else [listed])
    ]
    return {resource if isinstance(resource, str) else json.dumps(resource) for resource in all_resources}


def test_its_template_changes_only_on_purpose(template: Template, snapshot: SnapshotAssertion) -> None:
    masked = json.loads(re.sub(r"[0-9a-f]{64}", "ASSET", json.dumps(template)))
    assert masked == snapshot(extension_class=JSONSnapshotExtension)


def test_the_database_function_has_the_timeout_of_the_policy(template: Template) -> None:
    functions = resources(template, "AWS::Lambda::Function")
    (function,) = (candidate for candidate in functions if candidate["FunctionName"].endswith("-rollback-database"))
    assert (function["Timeout"], function["Handler"]) == (240, "rollback.handlers.database")


def test_only_the_two_functions_that_call_neon_read_the_api_key(template: Template) -> None:
    assert {name for name in FUNCTIONS if VALUE in granted_actions(template, name)} == {"report", "database"}
    assert resources_of_action(template, "report", VALUE) == {KEY}
    assert resources_of_action(template, "database", VALUE) == {KEY, URI}


def test_only_the_database_function_writes_a_secret_and_only_the_connection_secret(template: Template) -> None:
    writing = "secretsmanager:PutSecretValue"
    assert {name for name in FUNCTIONS if writing in granted_actions(template, name)} == {"database"}
    assert resources_of_action(template, "database", writing) == {URI}


def test_the_database_function_changes_only_what_fence_recreation_and_down_migrations_need(template: Template) -> None:
    assert changing_actions(template, "database") == FENCE | (TASKS - {"logs:GetLogEvents"}) | {
        "secretsmanager:PutSecretValue"
    }
    for statement in statements(template, "database"):
        if statement["Resource"] == "*":
            assert actions(statement) <= WITHOUT_RESOURCES


def test_without_a_secret_and_a_command_the_database_function_may_write_and_run_neither(minimal: Template) -> None:
    assert changing_actions(minimal, "database") == FENCE
    assert not TASKS & (granted_actions(minimal, "database") | granted_actions(minimal, "report"))
    assert resources_of_action(minimal, "database", VALUE) == resources_of_action(minimal, "report", VALUE) == {KEY}


def test_commands_run_in_the_services_clusters_with_their_roles_and_their_log_group(
    template: Template,
) -> None:
    (running,) = (s for s in statements(template, "database") if "ecs:RunTask" in actions(s))
    assert "cluster/macro-ai-production-cluster" in json.dumps(running["Condition"]["ArnEquals"]["ecs:cluster"])
    (passing,) = (s for s in statements(template, "database") if "iam:PassRole" in actions(s))
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert "*" not in json.dumps(passing["Resource"])
    (log,) = resources_of_action(template, "database", "logs:GetLogEvents")
    assert "log-group:/aws/ecs/macro-ai-production:*" in log
    (tasks,) = resources_of_action(template, "database", "ecs:StopTask")
    assert "task/macro-ai-production-cluster/*" in tasks


def test_the_database_function_may_ask_cloudformation_whether_a_deployment_is_its_rollback(template: Template) -> None:
    assert "cloudformation:DescribeStacks" in granted_actions(template, "database")


@pytest.mark.parametrize("function", sorted(CHANGES))
def test_a_database_gives_no_other_function_more_permissions(function: str, template: Template) -> None:
    assert changing_actions(template, function) == CHANGES[function]


def test_a_database_adds_only_its_own_function_and_permissions(
    template: Template, templates: dict[str, Template]
) -> None:
    plain_template = templates["MacroAiProductionRollbackStack"]
    assert "database" not in json.dumps(plain_template).lower()
    removed = {name for name in plain_template["Resources"] if name not in template["Resources"]}
    assert not removed
    added = {name for name in template["Resources"] if name not in plain_template["Resources"]}
    assert {name for name in added if "Database" not in name} == set()


def test_deployments_and_the_schedule_reach_the_database_function(template: Template) -> None:
    rules = resources(template, "AWS::Events::Rule")
    names = [r["Name"] for r in rules if any("FunctionsDatabase" in json.dumps(t["Arn"]) for t in r["Targets"])]
    assert sorted(name.removeprefix("macro-ai-production-rollback-") for name in names) == [
        "janitor",
        "on-deployment-completed",
        "on-deployment-in-progress",
    ]


def test_events_to_the_database_function_are_unchanged_expire_within_minutes_and_are_kept_if_undelivered(
    template: Template,
) -> None:
    targets = [t for rule in resources(template, "AWS::Events::Rule") for t in rule["Targets"]]
    database_targets = [target for target in targets if "FunctionsDatabase" in json.dumps(target["Arn"])]
    assert len(database_targets) == 3
    for target in database_targets:
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 10}
        assert "DeadLetters" in json.dumps(target["DeadLetterConfig"])
        assert not {"Input", "InputPath", "InputTransformer"} & set(target)


def test_every_rule_may_invoke_the_database_function(template: Template) -> None:
    """EventBridge drops an event without the permission to deliver it; each rule needs a permission."""
    permissions = resources(template, "AWS::Lambda::Permission")
    sources = [json.dumps(p["SourceArn"]) for p in permissions if "FunctionsDatabase" in json.dumps(p["FunctionName"])]
    for rule in ("TriggersJanitor", "TriggersDeploymentInProgress", "TriggersDeploymentCompleted"):
        assert sum(rule in source for source in sources) == 1


def test_errors_and_throttles_of_the_database_function_page(template: Template) -> None:
    alarms = {alarm["AlarmName"]: alarm for alarm in resources(template, "AWS::CloudWatch::Alarm")}
    for failure, metric in (("errors", "Errors"), ("throttles", "Throttles")):
        alarm = alarms[f"macro-ai-production-rollback-database-{failure}"]
        (dimension,), (topic,) = alarm["Dimensions"], alarm["AlarmActions"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", metric)
        assert dimension["Name"] == "FunctionName"
        assert "FunctionsDatabase" in dimension["Value"]["Ref"]
        assert "Critical" in topic["Ref"]


def test_the_command_finds_the_database_in_the_output_settings(template: Template) -> None:
    output = template["Outputs"]["Settings"]["Value"]
    text = (
        output if isinstance(output, str) else "".join(p if isinstance(p, str) else "x" for p in output["Fn::Join"][1])
    )
    assert json.loads(text)["database"] == DATABASES["production"]


def test_every_finding_of_cdk_nag_is_acknowledged_with_a_database(
    tmp_path: Path, database_context: dict[str, Any]
) -> None:
    build(tmp_path, {"aws:cdk:bundling-stacks": [], **database_context}, validate=False, review=True).synth()


LABELS = "ecr:GetDownloadUrlForLayer"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_functions_that_record_releases_read_labels_and_only_if_a_label_has_the_commit(
    template: Template, minimal: Template, function: str
) -> None:
    assert LABELS not in granted_actions(template, function)
    assert (LABELS in granted_actions(minimal, function)) == (function in ("decide", "promote"))
    for statement in statements(minimal, function):
        if LABELS in actions(statement):
            assert ":repository/" in json.dumps(statement["Resource"])
            assert statement["Resource"] != "*"


def test_a_connection_command_lets_only_the_database_function_run_tasks(
    tmp_path: Path, database_context: dict[str, Any]
) -> None:
    """Without down migrations: the function that runs SQL also runs the command that proves a connection."""
    context = json.loads(json.dumps(database_context))
    staging = context["environments"]["staging"]
    staging["services"][0]["connection"] = {"command": ["pnpm", "db:ping"]}
    context["environments"] = {"staging": staging}
    context["rollback:environments"] = "staging"
    build(tmp_path, {"aws:cdk:bundling-stacks": [], **context}, validate=False).synth()
    template = json.loads((tmp_path / "MacroAiStagingRollbackStack.template.json").read_text())
    assert granted_actions(template, "database") >= TASKS
    for function in set(FUNCTIONS) - {"database"}:
        assert not {"ecs:RunTask", "ecs:StopTask"} & granted_actions(template, function)
