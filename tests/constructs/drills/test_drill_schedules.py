"""Schedules of drills: what they start, who may start it, and the alarm on the age of the last drill."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollback_constructs.settings.environment import Configuration, InvalidSettings, merge
from stacks.assembly import build, project_context

DRILLS = {"schedule": "cron(0 10 ? * TUE *)", "timezone": "Europe/Berlin", "max_age_days": 14}
ACTS = {"policy": {"mode": "act"}}


def context_with(environment: str, drills: dict[str, Any], **more: Any) -> dict[str, Any]:
    context = project_context()
    context["environments"] = {
        **context["environments"],
        environment: merge(context["environments"][environment], {"drills": drills, **more}),
    }
    return context


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Template of staging with a schedule; cdk-nag's rules hold for it too."""
    folder: Path = tmp_path_factory.mktemp("drills")
    context = {
        **context_with("staging", DRILLS),
        "aws:cdk:bundling-stacks": [],
        "rollback:environments": "staging",
    }
    build(folder, context, validate=False, review=True).synth()
    synthesised: dict[str, Any] = json.loads((folder / "MacroAiStagingRollbackStack.template.json").read_text())
    return synthesised


def properties(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


def test_a_schedule_starts_a_drill_within_a_window_and_keeps_undelivered_starts(template: dict[str, Any]) -> None:
    (schedule,) = properties(template, "AWS::Scheduler::Schedule")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        DRILLS["schedule"],
        DRILLS["timezone"],
    )
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    target = schedule["Target"]
    assert json.loads(target["Input"]) == {
        "type": "service",
        "drill": True,
        "service": "express-api",
        "reason": "scheduled drill",
        "requested_by": "EventBridge Scheduler",
    }
    assert "DeadLetters" in target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 3}


def test_the_role_of_the_schedule_may_only_start_the_workflow_and_keep_undelivered_starts(
    template: dict[str, Any],
) -> None:
    (schedule,) = properties(template, "AWS::Scheduler::Schedule")
    role = schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
    trust = template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [(t["Principal"], t["Condition"]) for t in trust] == [
        (
            {"Service": "scheduler.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        )
    ]
    policies = [p for p in properties(template, "AWS::IAM::Policy") if {"Ref": role} in p["Roles"]]
    statements = [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]
    assert sorted(str(s["Action"]) for s in statements) == ["sqs:SendMessage", "states:StartExecution"]
    assert all(s["Resource"] != "*" for s in statements)


def test_an_old_drill_pages(template: dict[str, Any]) -> None:
    alarms = {alarm["AlarmName"]: alarm for alarm in properties(template, "AWS::CloudWatch::Alarm")}
    alarm = alarms["macro-ai-staging-express-api-no-recent-drill"]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]) == ("DaysSinceDrill", 14, "ignore")
    assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
        "Application": "macro-ai",
        "Environment": "staging",
        "Service": "express-api",
    }
    assert "Critical" in alarm["AlarmActions"][0]["Ref"]


def test_without_a_schedule_nothing_is_created(templates: dict[str, Any]) -> None:
    for name, plain in templates.items():
        assert properties(plain, "AWS::Scheduler::Schedule") == [], name
        assert not any("drill" in alarm["AlarmName"] for alarm in properties(plain, "AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize(
    ("environment", "drills", "more", "expected"),
    [
        ("production", DRILLS, ACTS, r"environments\.production\.drills\.schedule .*allow_production_drills is false"),
        ("staging", {**DRILLS, "schedule": "every day"}, {}, r"environments\.staging\.drills\.schedule"),
        ("staging", {**DRILLS, "timezone": "Mars/Olympus"}, {}, r"drills\.timezone is 'Mars/Olympus'; allowed"),
        ("staging", {**DRILLS, "scenario": "full"}, {}, r"environments\.staging\.drills\.scenario"),
        ("staging", {**DRILLS, "scenario": "database"}, {}, r"no database\.branch_id"),
        ("staging", DRILLS, {"policy": {"mode": "observe"}}, r"policy\.mode is observe"),
    ],
)
def test_a_wrong_setting_of_drills_fails_synth(
    environment: str, drills: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidSettings, match=expected):
        Configuration.read(context_with(environment, drills, **more))


def test_production_may_allow_drills() -> None:
    context = context_with("production", {**DRILLS, "allow_production_drills": True}, **ACTS)
    assert Configuration.read(context).environments["production"].drills.allow_production_drills
