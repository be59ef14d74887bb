"""Least privilege: the permissions of each function in production."""

import json
from typing import Any

import pytest

# Actions without resource-level permissions (Service Authorization Reference).
WITHOUT_RESOURCES = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:DescribeAlarmHistory",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListAlarmMuteRules",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTasks",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "logs:DescribeLogGroups",
    "ssm:DescribeParameters",
    "states:SendTaskSuccess",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
CHANGES = {
    "decide": {"events:PutEvents", "sns:Publish", "states:StopExecution"},
    "service": {
        "events:PutEvents",
        "application-autoscaling:RegisterScalableTarget",
        "states:StopExecution",
        "ecs:UpdateService",
        "ecs:StopServiceDeployment",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "iam:PassRole",
    },
    "report": {
        "events:PutEvents",
        "sqs:SendMessage",
        "application-autoscaling:RegisterScalableTarget",
        "ecs:UpdateService",
        "s3:PutObject",  # stored reports
        "sns:Publish",
        "states:StartExecution",
    },
    "promote": {
        "sqs:SendMessage",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "iam:PassRole",
        "ecr:PutImage",
        "states:StartExecution",  # the watch over fresh releases
    },
}
READING = ("Get", "List", "Describe", "BatchGet", "Query", "Condition")


def statements(template: dict[str, Any], function: str) -> list[dict[str, Any]]:
    matching = [
        statement
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Policy"
        and f"Functions{function.title()}Role" in json.dumps(resource["Properties"]["Roles"])
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert matching
    return matching


def actions(statement: dict[str, Any]) -> set[str]:
    names = statement["Action"]
    return set(names if isinstance(names, list) else [names])


@pytest.mark.parametrize("function", list(CHANGES))
def test_a_function_changes_only_what_its_steps_need(function: str, templates: dict[str, Any]) -> None:
    allowed = set().union(*(actions(s) for s in statements(templates["MacroAiProductionRollbackStack"], function)))
    runtime_prefixes = ("dynamodb:", "logs:", "xray:")
    changes = {a for a in allowed if not a.startswith(runtime_prefixes) and not a.split(":")[1].startswith(READING)}
    assert changes == CHANGES[function]
    assert not any("*" in action for action in allowed)


@pytest.mark.parametrize("function", list(CHANGES))
def test_only_actions_without_resource_level_permissions_are_allowed_on_all(
    function: str, templates: dict[str, Any]
) -> None:
    for statement in statements(templates["MacroAiProductionRollbackStack"], function):
        if statement["Resource"] == "*":
            assert actions(statement) <= WITHOUT_RESOURCES


def test_a_function_can_pass_a_role_to_tasks_only(templates: dict[str, Any]) -> None:
    passing = [
        s for s in statements(templates["MacroAiProductionRollbackStack"], "service") if "iam:PassRole" in actions(s)
    ]
    assert [s["Condition"] for s in passing] == [{"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}]
    assert "*" not in json.dumps(passing[0]["Resource"])


@pytest.mark.parametrize("function", sorted(CHANGES))
def test_each_function_that_identifies_a_release_may_describe_its_tasks(
    templates: dict[str, Any], function: str
) -> None:
    """A service revision may have no digest; without the tasks, each function would compute another fingerprint."""
    allowed = json.dumps(statements(templates["MacroAiProductionRollbackStack"], function))
    assert "ecs:DescribeTasks" in allowed
