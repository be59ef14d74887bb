"""The rollback stack of a worker, and the permissions for repositories of other accounts and regions."""

import json
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import resources
from constructs.test_access import statements
from support.wrong_settings import ACCOUNT, HERE, REGION, attached

from stacks.assembly import build

Template = dict[str, Any]
CENTRAL = f"arn:aws:ecr:{REGION}:999999999999:repository/agents"
DISTANT = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/proxy"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Synthesise a worker with the CDK's validator and cdk-nag, which fail on a finding."""
    described = attached(
        {
            "queues": [{"queue": "orders"}],
            "extra_alarms": [{"alarm": "orders failed", "starts": "emergency"}],
            "smoke_command": ["true"],
        },
        HERE,
        load_balancer=None,
        target_groups=None,
        log_group=None,
        sidecar_repositories=[CENTRAL, DISTANT],
    )
    out = tmp_path_factory.mktemp("worker")
    build(out, {"aws:cdk:bundling-stacks": [], **described}, validate=True, review=True).synth()
    synthesised: Template = json.loads(Path(out, "MacroAiProductionRollbackStack.template.json").read_text())
    return synthesised


def rule_of_exits(template: Template) -> dict[str, Any]:
    (rule,) = (r for r in resources(template, "AWS::Events::Rule") if "Logs the failed tasks" in r["Description"])
    return rule


def test_failed_tasks_of_the_worker_are_logged_by_a_rule_of_its_own(template: Template) -> None:
    pattern = rule_of_exits(template)["EventPattern"]
    assert pattern["detail-type"] == ["ECS Task State Change"]
    assert pattern["detail"]["group"] == ["service:shop"]
    assert pattern["detail"]["$or"] == [
        {"stopCode": ["TaskFailedToStart"]},
        {
            "stopCode": ["EssentialContainerExited"],
            "containers": {"name": ["web"], "exitCode": [{"anything-but": [0]}]},
        },
    ]


def test_an_event_that_can_not_be_logged_goes_to_the_queue_of_undelivered_events(template: Template) -> None:
    (target,) = rule_of_exits(template)["Targets"]
    assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("TriggersDeadLetters")
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 10}
    policies = json.dumps(resources(template, "AWS::SQS::QueuePolicy"))
    assert "TaskExitsRule" in policies


def test_a_resource_policy_lets_eventbridge_write_to_the_one_log_group_without_a_function(template: Template) -> None:
    (policy,) = resources(template, "AWS::Logs::ResourcePolicy")
    text = json.dumps(policy["PolicyDocument"])
    assert "events.amazonaws.com" in text
    assert "TaskExitsLog" in text
    assert not any(name.startswith(("Custom::", "AWS::CloudFormation::Custom")) for name in types_of(template))
    (rule_id,) = (
        name for name, r in template["Resources"].items() if r["Properties"].get("EventPattern") and "TaskExits" in name
    )
    assert any(name.startswith("TaskExitsPolicy") for name in depends_on(template["Resources"][rule_id]))


def types_of(template: Template) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def depends_on(resource: dict[str, Any]) -> list[str]:
    names = resource.get("DependsOn", [])
    return [names] if isinstance(names, str) else names


def test_the_dashboard_draws_running_tasks_and_queues_in_place_of_requests(template: Template) -> None:
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard")
    body = json.dumps(dashboard["DashboardBody"])
    assert "Services without requests" in body
    assert "RunningTaskCount" in body
    assert "ApproximateAgeOfOldestMessage" in body
    assert "RequestCount" not in body


def arns_of(template: Template, function: str, action: str) -> str:
    allowed = [s for s in statements(template, function) if action in s["Action"]]
    return json.dumps([statement["Resource"] for statement in allowed])


def test_images_elsewhere_are_read_and_only_those_of_this_account_are_tagged(template: Template) -> None:
    for function in ("decide", "service", "promote"):
        read = arns_of(template, function, "ecr:DescribeImages")
        assert CENTRAL in read
        assert DISTANT in read
    tagged = arns_of(template, "promote", "ecr:PutImage")
    assert CENTRAL not in tagged
    assert DISTANT in tagged
    assert "repository/shop/api" in tagged


def test_without_a_log_group_no_function_reads_logs_of_tasks(template: Template) -> None:
    assert arns_of(template, "report", "logs:GetLogEvents") == "[]"
