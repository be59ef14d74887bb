"""RollbackGuard in an importing app: what it reads from the service, what it creates, whom it lets do what."""

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack, Stage, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks
from constructs.conftest import resources
from constructs.guard.conftest import ATTRIBUTES, PLACES, Shop, make_app
from constructs.pipelines.test_github_roles import calls_of, filled_in
from constructs.test_access import actions

from rollback.domain.settings.policy import Policy
from rollback_constructs.guard import RollbackGuard
from rollback_constructs.guarded_service import RollbackService

Resources = dict[str, Any]


def template_of(stack: Stack) -> dict[str, Any]:
    template: dict[str, Any] = dict(Template.from_stack(stack).to_json())
    return template


def settings_in(template: dict[str, Any]) -> dict[str, Any]:
    """Settings in the outputs; a reference is its logical id."""
    settings: dict[str, Any] = dict(json.loads(filled_in(template["Outputs"]["RollbackSettings"]["Value"])))
    return settings


def one(template: dict[str, Any], kind: str, beginning: str) -> str:
    """Logical id of the only resource of a type whose id begins so."""
    (found,) = (n for n, r in template["Resources"].items() if r["Type"] == kind and n.startswith(beginning))
    return str(found)


@pytest.mark.parametrize("place", PLACES)
def test_names_roles_logs_and_repository_are_read_from_the_service(place: str) -> None:
    """The app is clean for cdk-nag as far as the guard goes, with a known account and without."""
    app = make_app()
    stack = Stack(app, "Shop", env=PLACES[place])
    shop = Shop(stack)
    shop.balance(stack)
    RollbackGuard(stack, "Guard", service=shop.service, application="shop", policy=Policy(mode="observe"))

    template = template_of(stack)

    (service,) = settings_in(template)["services"]
    cluster, ecs_service = one(template, "AWS::ECS::Cluster", "Cluster"), one(template, "AWS::ECS::Service", "Service")
    assert service == {
        "name": "api",
        "container": "api",
        "cluster": cluster,
        "ecs_service": f"arn:aws:any:eu-west-1:123456789012:{ecs_service}",
        "stack": "Shop",
        "load_balancer_shared": True,
    }
    assert settings_in(template)["policy"] == {"mode": "observe"}
    (log_filter,) = resources(template, "AWS::Logs::MetricFilter")
    assert log_filter["LogGroupName"] == {"Ref": one(template, "AWS::Logs::LogGroup", "Taskapi")}
    policies = [p for p in resources(template, "AWS::IAM::Policy") if p["PolicyName"].startswith("GuardFunctions")]
    text = json.dumps(policies)
    for role in (one(template, "AWS::IAM::Role", "TaskExecution"), one(template, "AWS::IAM::Role", "TaskTaskRole")):
        assert f'{{"Fn::GetAtt": ["{role}", "Arn"]}}' in text
    assert f':repository/", {{"Ref": "{one(template, "AWS::ECR::Repository", "Repository")}"}}' in text
    alarms = json.dumps(resources(template, "AWS::CloudWatch::Alarm"))
    group, listener = one(template, "AWS::ElasticLoadBalancingV2::TargetGroup", ""), "BalancerHttp"
    assert f'{{"Fn::GetAtt": ["{group}", "TargetGroupFullName"]}}' in alarms
    assert f'{{"Ref": "{one(template, "AWS::ElasticLoadBalancingV2::Listener", listener)}"}}' in alarms


def test_cdk_nag_finds_nothing_in_a_guard_whose_names_are_references(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    stack = Stack(app, "Shop")
    shop = Shop(stack)
    shop.balance(stack)
    RollbackGuard(stack, "Guard", service=shop.service, application="shop")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="ValidationFailed"):  # the app's own resources have findings
        app.synth()

    reports = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    found = {
        (violation["ruleName"], construct["constructPath"])
        for report in reports
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
    }
    assert ("AwsSolutions-ELB2", "Shop/Balancer/Resource") in found
    assert [finding for finding in found if finding[1].startswith("Shop/Guard")] == []


def test_a_guard_works_in_the_stage_of_a_pipeline_for_a_service_of_another_app() -> None:
    app = make_app()
    for name in ("Staging", "Production"):
        stage = Stage(app, name)
        stack = Stack(stage, "Guard")
        service = RollbackService.from_attributes(**ATTRIBUTES)
        RollbackGuard(stack, "Guard", service=service, application="shop", environment=name.lower())

    assembly = app.synth()

    for name in ("Staging", "Production"):
        (artifact,) = assembly.get_nested_assembly(f"assembly-{name}").stacks
        template = artifact.template
        assert json.loads(template["Outputs"]["RollbackSettings"]["Value"])["environment"] == name.lower()
        (log_filter,) = resources(template, "AWS::Logs::MetricFilter")
        assert log_filter["LogGroupName"] == "/ecs/shop"
        names = {alarm["AlarmName"] for alarm in resources(template, "AWS::CloudWatch::CompositeAlarm")}
        assert f"shop-{name.lower()}-api-degraded" in names


def granted(template: dict[str, Any], role: str) -> set[str]:
    found = [
        statement
        for name, policy in template["Resources"].items()
        if policy["Type"] == "AWS::IAM::Policy" and name.startswith(role)
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    return set().union(*(actions(statement) for statement in found))


_VERBS = "rollback_cli.verbs"
_READING = (
    "rollbacks.status.status", "rollbacks.history.history", "rollbacks.show.show", "rollbacks.report.report",
    "rollbacks.verify.verify", "releases.versions.versions",
)  # fmt: skip
_NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
# Needed with the option --rollback-on-failure of `verify` alone, which needs `grant_start` too.
_OF_OPTIONS = {"grant_read": {"states:StartExecution"}, "grant_start": set(), "grant_approve": set()}


@pytest.mark.parametrize(
    ("grant", "entries"),
    [
        ("grant_read", _READING),
        ("grant_start", ("rollbacks.start.start", "rollbacks.drill.drill", "rollbacks.report.report")),
        ("grant_approve", ("rollbacks.approve.approve", "rollbacks.reject.reject", "rollbacks.report.report")),
    ],
)
def test_a_grant_allows_what_its_commands_call(guarded: "Guarded", grant: str, entries: tuple[str, ...]) -> None:
    called = set().union(*(calls_of(f"{_VERBS}.{entry}") for entry in entries)) - _NEEDS_NO_PERMISSION
    called -= _OF_OPTIONS[grant]
    assert called - granted(guarded.template, f"{grant.title().replace('_', '')}") == set()


def test_each_grant_allows_its_own_act_alone(guarded: "Guarded") -> None:
    acts = {"states:StartExecution", "lambda:InvokeFunction", "ecs:UpdateService", "dynamodb:PutItem"}
    assert {name: granted(guarded.template, name) & acts for name in ("GrantRead", "GrantStart", "GrantApprove")} == {
        "GrantRead": {"lambda:InvokeFunction"},  # `verify` asks the database function
        "GrantStart": {"states:StartExecution", "dynamodb:PutItem"},
        "GrantApprove": {"lambda:InvokeFunction"},
    }


def test_subscriptions_alarms_and_metrics_are_of_the_guards_own_resources(guarded: "Guarded") -> None:
    template = guarded.template
    subscribed = {(s["Protocol"], s["TopicArn"]["Ref"]) for s in resources(template, "AWS::SNS::Subscription")}
    critical = template["Outputs"]["RollbackCriticalTopicArn"]["Value"]["Ref"]
    every = template["Outputs"]["RollbackTopicArn"]["Value"]["Ref"]
    assert subscribed == {("email", critical), ("https", critical), ("https", every)}
    (slow,) = (a for a in resources(template, "AWS::CloudWatch::Alarm") if a.get("Threshold") == 987)
    metrics = [metric["MetricStat"]["Metric"] for metric in slow["Metrics"] if "MetricStat" in metric]
    assert [metric["MetricName"] for metric in metrics] == [
        "DetectSeconds", "DecideSeconds", "ActSeconds", "VerifySeconds",
    ]  # fmt: skip
    assert {d["Name"]: d["Value"] for d in metrics[0]["Dimensions"]} == {
        "Application": "shop", "Environment": "production", "Service": "api", "Type": "service",
    }  # fmt: skip
    alarm = guarded.guard.outage_alarm()
    assert guarded.stack.resolve(alarm.alarm_name)["Ref"] in template["Resources"]


def test_secrets_may_be_constructs_in_a_database_of_two_services(guarded: "Guarded") -> None:
    settings = settings_in(guarded.template)
    assert [service["name"] for service in settings["services"]] == ["api", "worker"]
    key = one(guarded.template, "AWS::SecretsManager::Secret", "NeonKey")
    assert settings["database"]["api_key_secret_arn"] == key
    read = [
        statement["Resource"]
        for policy in resources(guarded.template, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "secretsmanager:GetSecretValue" in actions(statement)
    ]
    assert {"Ref": key} in read


class Guarded:
    """A guard of two services and their database, with every grant and subscription."""

    def __init__(self) -> None:
        self.stack = Stack(make_app(), "Shop")
        shop = Shop(self.stack)
        shop.balance(self.stack)
        neon_key = secretsmanager.Secret(self.stack, "NeonKey")
        other = {"cluster": "shop", "ecs_service": "worker", "container": "worker", "log_group": "/ecs/worker"}
        group = ATTRIBUTES["target_groups"][0].replace("73e2", "84f3")
        worker = RollbackService.from_attributes(**{**ATTRIBUTES, **other, "target_groups": [group]})
        self.guard = RollbackGuard(
            self.stack,
            "Guard",
            service=shop.service,
            application="shop",
            more_services=[worker],
            commit_from="label:org.opencontainers.image.revision",
            database={"project_id": "quiet-sun-1", "branch_id": "br-main-1", "api_key_secret_arn": neon_key},
        )
        for name in ("grant_read", "grant_start", "grant_approve"):
            role = iam.Role(self.stack, name.title().replace("_", ""), assumed_by=iam.AccountRootPrincipal())
            getattr(self.guard, name)(role).assert_success()
        self.guard.add_subscription(subscriptions.EmailSubscription("oncall@example.com"))
        self.guard.add_subscription(subscriptions.UrlSubscription("https://example.com/page"), critical_only=False)
        slow = self.guard.metric_recovery_seconds()
        slow.create_alarm(self.stack, "Slow", threshold=987, evaluation_periods=1)
        self.template = template_of(self.stack)


@pytest.fixture(scope="module")
def guarded() -> Guarded:
    return Guarded()
