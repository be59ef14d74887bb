"""Environments with a database: one function more, with a role of its own, and a step more in the state machine."""

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
FENCE = {"sqs:SendMessage", "application-autoscaling:RegisterScalableTarget", "ecs:UpdateService"}
TASKS = {"ecs:RunTask", "ecs:StopTask", "iam:PassRole", "logs:GetLogEvents"}


@pytest.fixture
def template(database_templates: dict[str, Template]) -> Template:
    """Production's, which has everything."""
    return database_templates["MacroAiProductionRollbackStack"]


@pytest.fixture
def minimal(database_templates: dict[str, Template]) -> Template:
    """Staging's: no secret to write, no command to run."""
    return database_templates["MacroAiStagingRollbackStack"]


def allowed(template: Template, function: str) -> set[str]:
    return set().union(*(actions(statement) for statement in statements(template, function)))


def changing(template: Template, function: str) -> set[str]:
    kept = ("dynamodb:", "logs:Create", "logs:Put", "xray:")
    found = allowed(template, function)
    return {a for a in found if not a.startswith(kept) and not a.split(":")[1].startswith(READING)}


def on(template: Template, function: str, action: str) -> set[str]:
    """The resources that an action is allowed on; those that CloudFormation fills in as JSON."""
    found = [s["Resource"] for s in statements(template, function) if action in actions(s)]
    each = [one for some in found for one in (some if isinstance(some, list) else [some])]
    return {one if isinstance(one, str) else json.dumps(one) for one in each}


def test_its_template_changes_only_on_purpose(template: Template, snapshot: SnapshotAssertion) -> None:
    masked = json.loads(re.sub(r"[0-9a-f]{64}", "ASSET", json.dumps(template)))
    assert masked == snapshot(extension_class=JSONSnapshotExtension)


def test_its_function_has_the_time_that_the_policy_says(template: Template) -> None:
    functions = resources(template, "AWS::Lambda::Function")
    (function,) = (one for one in functions if one["FunctionName"].endswith("-rollback-database"))
    assert (function["Timeout"], function["Handler"]) == (240, "rollback.handlers.database")


def test_the_key_is_read_by_the_two_functions_that_speak_to_neon_and_no_other(template: Template) -> None:
    assert {name for name in FUNCTIONS if VALUE in allowed(template, name)} == {"report", "database"}
    assert on(template, "report", VALUE) == {KEY}
    assert on(template, "database", VALUE) == {KEY, URI}


def test_only_the_database_function_replaces_the_connection_secret_and_nothing_else(template: Template) -> None:
    writing = "secretsmanager:PutSecretValue"
    assert {name for name in FUNCTIONS if writing in allowed(template, name)} == {"database"}
    assert on(template, "database", writing) == {URI}


def test_what_it_may_change_is_what_a_fence_a_recreated_branch_and_a_down_migration_need(template: Template) -> None:
    assert changing(template, "database") == FENCE | (TASKS - {"logs:GetLogEvents"}) | {"secretsmanager:PutSecretValue"}
    for statement in statements(template, "database"):
        if statement["Resource"] == "*":
            assert actions(statement) <= WITHOUT_RESOURCES


def test_without_a_secret_to_write_and_a_command_to_run_it_may_do_neither(minimal: Template) -> None:
    assert changing(minimal, "database") == FENCE
    assert not TASKS & (allowed(minimal, "database") | allowed(minimal, "report"))
    assert on(minimal, "database", VALUE) == on(minimal, "report", VALUE) == {KEY}


def test_commands_run_in_the_services_clusters_with_the_services_roles_and_tell_into_their_log(
    template: Template,
) -> None:
    (running,) = (s for s in statements(template, "database") if "ecs:RunTask" in actions(s))
    assert "cluster/macro-ai-production-cluster" in json.dumps(running["Condition"]["ArnEquals"]["ecs:cluster"])
    (passing,) = (s for s in statements(template, "database") if "iam:PassRole" in actions(s))
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert "*" not in json.dumps(passing["Resource"])
    (log,) = on(template, "database", "logs:GetLogEvents")
    assert "log-group:/aws/ecs/macro-ai-production:*" in log
    (tasks,) = on(template, "database", "ecs:StopTask")
    assert "task/macro-ai-production-cluster/*" in tasks


def test_it_may_ask_cloudformation_whether_a_newer_deployment_is_its_way_back(template: Template) -> None:
    assert "cloudformation:DescribeStacks" in allowed(template, "database")


@pytest.mark.parametrize("function", sorted(CHANGES))
def test_a_database_lets_no_other_function_change_more(function: str, template: Template) -> None:
    assert changing(template, function) == CHANGES[function]


def test_only_a_database_s_functions_and_permissions_come_with_it(
    template: Template, templates: dict[str, Template]
) -> None:
    without = templates["MacroAiProductionRollbackStack"]
    assert "database" not in json.dumps(without).lower()
    gone = {name for name in without["Resources"] if name not in template["Resources"]}
    assert not gone
    come = {name for name in template["Resources"] if name not in without["Resources"]}
    assert {name for name in come if "Database" not in name} == set()


def test_deployments_and_the_schedule_reach_it_too(template: Template) -> None:
    rules = resources(template, "AWS::Events::Rule")
    told = [r["Name"] for r in rules if any("FunctionsDatabase" in json.dumps(t["Arn"]) for t in r["Targets"])]
    assert sorted(name.removeprefix("macro-ai-production-rollback-") for name in told) == [
        "janitor",
        "on-deployment-completed",
        "on-deployment-in-progress",
    ]


def test_its_events_come_as_they_are_give_up_within_minutes_and_are_kept_if_they_could_not_be_delivered(
    template: Template,
) -> None:
    targets = [t for rule in resources(template, "AWS::Events::Rule") for t in rule["Targets"]]
    of_it = [target for target in targets if "FunctionsDatabase" in json.dumps(target["Arn"])]
    assert len(of_it) == 3
    for target in of_it:
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 10}
        assert "DeadLetters" in json.dumps(target["DeadLetterConfig"])
        assert not {"Input", "InputPath", "InputTransformer"} & set(target)


def test_every_rule_may_invoke_it(template: Template) -> None:
    """EventBridge drops what it may not deliver; each rule is named in a permission of its own."""
    permissions = resources(template, "AWS::Lambda::Permission")
    of_it = [json.dumps(p["SourceArn"]) for p in permissions if "FunctionsDatabase" in json.dumps(p["FunctionName"])]
    for rule in ("TriggersJanitor", "TriggersDeploymentInProgress", "TriggersDeploymentCompleted"):
        assert sum(rule in source for source in of_it) == 1


def test_people_are_told_of_its_errors_and_throttles(template: Template) -> None:
    alarms = {alarm["AlarmName"]: alarm for alarm in resources(template, "AWS::CloudWatch::Alarm")}
    for failure, metric in (("errors", "Errors"), ("throttles", "Throttles")):
        alarm = alarms[f"macro-ai-production-rollback-database-{failure}"]
        (dimension,), (topic,) = alarm["Dimensions"], alarm["AlarmActions"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", metric)
        assert dimension["Name"] == "FunctionName"
        assert "FunctionsDatabase" in dimension["Value"]["Ref"]
        assert "Critical" in topic["Ref"]


def test_the_command_line_finds_the_database_among_the_settings(template: Template) -> None:
    said = template["Outputs"]["Settings"]["Value"]
    text = said if isinstance(said, str) else "".join(p if isinstance(p, str) else "x" for p in said["Fn::Join"][1])
    assert json.loads(text)["database"] == DATABASES["production"]


def test_the_review_finds_nothing_that_is_not_explained(tmp_path: Path, database_context: dict[str, Any]) -> None:
    build(tmp_path, {"aws:cdk:bundling-stacks": [], **database_context}, validate=False, review=True).synth()


LABELS = "ecr:GetDownloadUrlForLayer"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_who_records_releases_reads_labels_and_only_where_a_label_tells_the_commit(
    template: Template, minimal: Template, function: str
) -> None:
    assert LABELS not in allowed(template, function)
    assert (LABELS in allowed(minimal, function)) == (function in ("decide", "promote"))
    for statement in statements(minimal, function):
        if LABELS in actions(statement):
            assert ":repository/" in json.dumps(statement["Resource"])
            assert statement["Resource"] != "*"


def test_a_command_about_a_connection_lets_the_database_function_run_tasks_and_no_other(
    tmp_path: Path, database_context: dict[str, Any]
) -> None:
    """Without down-migrations: what proves a connection is run where the others are, by the one that speaks SQL."""
    context = json.loads(json.dumps(database_context))
    staging = context["environments"]["staging"]
    staging["services"][0]["connection"] = {"command": ["pnpm", "db:ping"]}
    context["environments"] = {"staging": staging}
    context["rollback:environments"] = "staging"
    build(tmp_path, {"aws:cdk:bundling-stacks": [], **context}, validate=False).synth()
    made = json.loads((tmp_path / "MacroAiStagingRollbackStack.template.json").read_text())
    assert allowed(made, "database") >= TASKS
    for other in set(FUNCTIONS) - {"database"}:
        assert not {"ecs:RunTask", "ecs:StopTask"} & allowed(made, other)
