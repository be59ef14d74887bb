"""Stacks that differ from those in `cdk.json`: an existing service, settings that do not fit, a private probe."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Token

from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings, Settings
from rollback.domain.settings.packed import parse_settings
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.functions.function_settings import SettingsTooLarge, compact
from rollback_constructs.settings.environment import Configuration, InvalidSettings
from stacks.assembly import project_context, synthesise

ROLE = "arn:aws:iam::123456789012:role/"
EXISTING = {
    "load_balancer": "app/shop/50dc6c495c0c9188",
    "target_groups": ["targetgroup/shop/6d0ecf831eec9f09", "targetgroup/admin/7d0ecf831eec9f09"],
    "task_role_arns": [f"{ROLE}task"],
    "execution_role_arns": [f"{ROLE}execution"],
    "log_group": "/shop",
    "repository": "shop/api",
}
PLACE = {
    "vpc_id": "vpc-0a1b2c3d",
    "availability_zones": ["eu-west-1a"],
    "private_subnet_ids": ["subnet-0a1b2c3d"],
    "security_group_ids": ["sg-0a1b2c3d"],
}


@pytest.fixture(scope="module")
def existing_template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    service = {"name": "shop", "cluster": "shop", "ecs_service": "shop-web", "container": "web", "existing": EXISTING}
    context = {
        "aws:cdk:bundling-stacks": [],
        "environments": {"production": {"services": [service], "functions": {"probes_in_vpc": PLACE}}},
        "rollback:bundle_platform": "x86_64-manylinux2014",
        "rollback:bundle_python": "3.11",
    }
    out: Path = synthesise(tmp_path_factory.mktemp("attached"), context)
    assert [path.name for path in out.glob("*.template.json")] == ["MacroAiProductionRollbackStack.template.json"]
    template: dict[str, Any] = json.loads(next(out.glob("*.template.json")).read_text())
    return template


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    all_properties = (r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    return {properties["FunctionName"]: properties for properties in all_properties}


def test_an_existing_service_needs_no_service_stack(existing_template: dict[str, Any]) -> None:
    assert "Fn::ImportValue" not in json.dumps(existing_template)
    assert str(EXISTING["load_balancer"]) in json.dumps(existing_template)


def test_the_function_that_an_emergency_waits_for_has_one_whole_processor(existing_template: dict[str, Any]) -> None:
    """Lambda gives one vCPU at 1,769 MiB (Lambda developer guide, "Configure Lambda function memory")."""
    memory = {name.rpartition("-")[2]: f["MemorySize"] for name, f in functions(existing_template).items()}
    assert memory == {"decide": 512, "service": 1769, "report": 512, "promote": 512}


def test_bytecode_is_left_out_by_an_explicit_setting_alone() -> None:
    context = project_context()
    assert Configuration.read(context).bundle.bytecode == "compiled"
    assert Configuration.read({**context, "rollback:bundle_bytecode": "none"}).bundle.bytecode == "none"
    with pytest.raises(InvalidSettings, match=r"bundle\.bytecode is 'no'; allowed is 'compiled' or 'none'"):
        Configuration.read({**context, "rollback:bundle_bytecode": "no"})


def test_every_target_group_has_an_alarm(existing_template: dict[str, Any]) -> None:
    alarms = [r["Properties"] for r in existing_template["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    watched = [alarm for alarm in alarms if "no-healthy-targets" in alarm["AlarmName"]]
    groups = [d["Value"] for alarm in watched for d in alarm["Dimensions"] if d["Name"] == "TargetGroup"]
    assert groups == EXISTING["target_groups"]


def test_the_alarms_count_no_errors_of_a_load_balancer_that_may_be_shared(existing_template: dict[str, Any]) -> None:
    alarms = [r["Properties"] for r in existing_template["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert "HTTPCode_Target_5XX_Count" in json.dumps(alarms)
    assert "HTTPCode_ELB_5XX_Count" not in json.dumps(alarms)


PROBING = {"macro-ai-production-rollback-report", "macro-ai-production-rollback-promote"}


def test_only_functions_that_probe_are_placed_in_the_vpc(existing_template: dict[str, Any]) -> None:
    assert {name for name, function in functions(existing_template).items() if "VpcConfig" in function} == PROBING


def test_a_function_in_a_vpc_may_create_its_network_interfaces(existing_template: dict[str, Any]) -> None:
    """Lambda refuses a function in a VPC without this permission (Lambda developer guide, "Giving Lambda functions
    access to a VPC").
    """
    roles = [r["Properties"] for r in existing_template["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    function_roles = {r["Description"].split()[-1]: r for r in roles if "function" in r.get("Description", "")}
    allowed = {name for name, role in function_roles.items() if "AWSLambdaVPCAccessExecutionRole" in json.dumps(role)}
    assert allowed == PROBING


def test_runtime_and_architecture_follow_the_bundles_platform(existing_template: dict[str, Any]) -> None:
    for function in functions(existing_template).values():
        assert (function["Runtime"], function["Architectures"]) == ("python3.11", ["x86_64"])
    default = BundleSettings()
    assert (default.runtime.name, default.architecture.name) == ("python3.13", "arm64")


def unlike_paths(count: int) -> list[str]:
    """Return paths that can't be packed: nothing in them repeats."""
    return [f"/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(count)]


def test_settings_that_do_not_fit_into_the_environment_variables_are_refused_with_their_size() -> None:
    endpoints = tuple(HealthEndpoint(path=path) for path in unlike_paths(120))
    service = ServiceSettings(name="a", cluster="a", ecs_service="a", container="a", endpoints=endpoints)
    with pytest.raises(SettingsTooLarge, match=r"production take \d+ bytes, at most 3500"):
        compact(Settings(application="macro-ai", environment="production", services=(service,)))


def test_the_settings_of_forty_services_fit() -> None:
    endpoints = (HealthEndpoint(path="/health"), HealthEndpoint(path="/api/status"))
    services = tuple(
        ServiceSettings(name=f"s{n}", cluster="c", ecs_service=f"service-{n}", container="web", endpoints=endpoints)
        for n in range(40)
    )
    settings = Settings(application="macro-ai", environment="production", services=services)
    assert parse_settings(compact(settings)) == settings


def test_settings_with_an_address_that_cloudformation_fills_in_are_refused_with_what_to_set() -> None:
    """Packing would hide the reference from CloudFormation."""
    address = Token.as_string({"Fn::ImportValue": "address"})
    endpoints = tuple(HealthEndpoint(path=path) for path in unlike_paths(60))
    service = ServiceSettings(
        name="a", cluster="a", ecs_service="a", container="a", base_url=f"http://{address}", endpoints=endpoints
    )
    with pytest.raises(SettingsTooLarge, match=r"set base_url of the service that the stack creates"):
        compact(Settings(application="macro-ai", environment="production", services=(service,)))


def test_a_synth_refuses_variables_that_lambda_would_refuse_though_the_settings_alone_fit(tmp_path: Path) -> None:
    endpoints = [{"path": path} for path in unlike_paths(62)]
    service = {"name": "shop", "cluster": "c", "ecs_service": "s", "container": "web", "existing": EXISTING}
    context = {
        "aws:cdk:bundling-stacks": [],
        "environments": {
            "production": {"services": [{**service, "base_url": "https://shop.example", "endpoints": endpoints}]}
        },
    }
    with pytest.raises(
        SettingsTooLarge, match=r"^the environment variables of \S+ take up to \d+ bytes, AWS allows 4096"
    ):
        synthesise(tmp_path, context)


def test_the_settings_in_cdk_json_leave_room_in_the_environment_variables(templates: dict[str, Any]) -> None:
    for name in project_context()["environments"]:
        template = templates[f"MacroAi{name.title()}RollbackStack"]
        for function in functions(template).values():
            assert len(json.dumps(function["Environment"]["Variables"]).encode()) < 3000
