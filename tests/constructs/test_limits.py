"""Environments of many services, long names, other partitions, concrete accounts, and keys of the team's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import resources
from constructs.test_access import actions, statements
from constructs.test_stacks import EXISTING, PLACE
from hypothesis import given
from hypothesis import strategies as st

from rollback_constructs.limits import (
    MAX_PATTERN_LENGTH,
    LimitExceeded,
    batch_by_pattern_length,
    check_name_length,
    check_resources,
)
from stacks.assembly import build, synthesise

Template = dict[str, Any]
HERE = {"account": "123456789012", "region": "eu-west-1", "availability_zones": ["eu-west-1a", "eu-west-1b"]}
KEY = "arn:aws-cn:kms:cn-north-1:123456789012:key/11111111-2222-3333-4444-555555555555"
SECRET = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:neon-key-AbCdEf"


def existing(name: str, region: str = "eu-west-1", partition: str = "aws") -> dict[str, Any]:
    role = f"arn:{partition}:iam::123456789012:role/"
    attachment = {
        **EXISTING,
        "task_role_arns": [f"{role}task"],
        "execution_role_arns": [f"{role}execution"],
        "target_groups": [f"targetgroup/{name}/6d0ecf831eec9f09"],
        "log_group": f"/{name}",
    }
    return {
        "name": name,
        "cluster": f"{name}-cluster",
        "ecs_service": f"{name}-web",
        "container": "web",
        "existing": attachment,
    }


def context(environment: dict[str, Any], name: str = "production", **more: Any) -> dict[str, Any]:
    return {"aws:cdk:bundling-stacks": [], "environments": {name: environment}, **more}


def synthesise_template(out: Path, app_context: dict[str, Any]) -> Template:
    folder = synthesise(out, app_context)
    return json.loads(next(folder.glob("*RollbackStack.template.json")).read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def twelve_services(tmp_path_factory: pytest.TempPathFactory) -> Template:
    services = [existing(f"a-service-of-this-team-{number}") for number in range(12)]
    return synthesise_template(tmp_path_factory.mktemp("twelve"), context({"services": services}))


@pytest.fixture(scope="module")
def china(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Synthesise with account and region, an existing service, a database, keys, and functions in a VPC."""
    environment = {
        "account": "123456789012",
        "region": "cn-north-1",
        "services": [existing("shop", "cn-north-1", "aws-cn")],
        "keys": {"ledger": KEY, "topics": KEY, "logs": KEY, "secrets": [KEY]},
        "functions": {"probes_in_vpc": PLACE, "reserved_concurrency": {"service": 2, "report": 3}},
        "database": {"project_id": "quiet-sun-1", "branch_id": "br-main-1", "api_key_secret_arn": SECRET},
    }
    return synthesise_template(tmp_path_factory.mktemp("china"), context(environment))


def patterns(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for rule in resources(template, "AWS::Events::Rule"):
        if "EventPattern" in rule:
            yield rule["Name"], rule["EventPattern"]


def render_pattern(template: Template, value: Any) -> str:
    """Write a pattern as CloudFormation sends it, with the longest partition and region."""
    names = {"AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-2", "AWS::AccountId": "123456789012"}

    def resolve(part: Any) -> Any:
        match part:
            case {"Ref": name}:
                return names.get(name, name)
            case {"Fn::Join": [glue, parts]}:
                return glue.join(resolve(inner) for inner in parts)
            case {"Fn::GetAtt": [name, "Arn"]}:
                properties = template["Resources"][name]["Properties"]
                return (
                    f"arn:aws-us-gov:cloudwatch:ap-southeast-2:123456789012:alarm:{properties.get('AlarmName', name)}"
                )
            case dict():
                return {name: resolve(inner) for name, inner in part.items()}
            case list():
                return [resolve(inner) for inner in part]
            case _:
                return part

    return json.dumps(resolve(value), separators=(",", ":"))


def test_twelve_services_take_several_rules_within_the_limit_with_each_arn_once(twelve_services: Template) -> None:
    """EventBridge refuses a pattern of more than 2,048 characters, in the middle of a deployment."""
    names = [name for name, _ in patterns(twelve_services)]
    assert len(names) == len(set(names))
    assert "macro-ai-production-rollback-on-alarm-2" in names
    for name, pattern in patterns(twelve_services):
        assert len(render_pattern(twelve_services, pattern)) <= MAX_PATTERN_LENGTH, name
    for end in ("on-alarm", "on-deployment-failed", "on-deployment-completed"):
        arns = [arn for name, pattern in patterns(twelve_services) if end in name for arn in pattern["resources"]]
        assert len({json.dumps(arn) for arn in arns}) == len(arns) == (24 if end == "on-alarm" else 12)


def test_one_service_takes_one_rule_of_each_kind(templates: dict[str, Template]) -> None:
    names = [name for name, _ in patterns(templates["MacroAiProductionRollbackStack"])]
    assert not [name for name in names if name[-1].isdigit()]


def test_forty_services_are_refused_in_one_line() -> None:
    services = [existing(f"s{number}") for number in range(40)]
    with pytest.raises(LimitExceeded) as error:
        build(None, context({"services": services}), validate=False)
    assert "\n" not in str(error.value)
    assert "production" in str(error.value)


def test_more_resources_than_a_stack_may_have_are_refused() -> None:
    check_resources(500, "production", 36)
    with pytest.raises(LimitExceeded, match=r"^production has 40 services, which take 548 resources; CloudFormation"):
        check_resources(548, "production", 40)


def test_a_name_that_is_too_long_for_aws_is_refused_at_synth_with_the_excess() -> None:
    environment = "a-very-long-name-of-an-environment"
    with pytest.raises(
        LimitExceeded, match=r"^the name of the (rule|function) \S+ has \d+ characters, AWS allows 64: "
    ):
        build(None, context({"services": [existing("shop")]}, environment), validate=False)
    assert check_name_length("rule", "a" * 64) == "a" * 64


@given(st.lists(st.text(alphabet="abc/-", min_size=1, max_size=400), max_size=60))
def test_every_arn_is_in_one_pattern_in_its_order(last_parts: list[str]) -> None:
    batches = batch_by_pattern_length([(part, number) for number, part in enumerate(last_parts)])
    assert [number for batch in batches for number in batch] == list(range(len(last_parts)))
    assert all(batches)


@pytest.mark.parametrize("service", ["states", "iam", "ecs", "logs"])
def test_a_template_for_another_partition_does_not_contain_the_partition_aws(china: Template, service: str) -> None:
    assert f"arn:aws:{service}" not in json.dumps(china)
    assert "arn:aws:" not in json.dumps(china)


@pytest.mark.parametrize("kind", ["", "with a database"])
def test_a_template_without_a_known_account_contains_no_fixed_partition(
    kind: str, templates: dict[str, Template], database_templates: dict[str, Template]
) -> None:
    selected_templates = database_templates if kind else templates
    for name, template in selected_templates.items():
        texts = set(json.dumps(template).replace("\\", "").split('"'))
        arns = {text for text in texts if "arn:aws:" in text and ":secret:" not in text}
        assert not arns, name


def test_availability_zones_are_needed_only_for_a_network_that_the_stack_creates(china: Template) -> None:
    assert resources(china, "AWS::Lambda::Function")


def test_ledger_topics_and_logs_are_encrypted_with_the_teams_keys(china: Template) -> None:
    (table,) = resources(china, "AWS::DynamoDB::Table")
    assert (table["SSESpecification"]["SSEType"], table["SSESpecification"]["KMSMasterKeyId"]) == ("KMS", KEY)
    assert {topic["KmsMasterKeyId"] for topic in resources(china, "AWS::SNS::Topic")} == {KEY}
    assert {group["KmsKeyId"] for group in resources(china, "AWS::Logs::LogGroup")} == {KEY}


@pytest.mark.parametrize(
    ("function", "expected_services"),
    [
        ("decide", {"dynamodb", "sns"}),
        ("service", {"dynamodb"}),
        ("promote", {"dynamodb"}),
        ("report", {"dynamodb", "sns", "secretsmanager"}),
        ("database", {"dynamodb", "secretsmanager"}),
        ("approve", {"dynamodb"}),
    ],
)
def test_a_function_uses_a_key_only_through_the_services_that_it_calls(
    china: Template, function: str, expected_services: set[str]
) -> None:
    services = set()
    for statement in statements(china, function):
        if "kms:EncryptionContextKeys" in json.dumps(statement):  # the key of task tokens is used directly
            continue
        if any(action.startswith("kms:") for action in actions(statement)):
            assert statement["Resource"] == KEY
            via = statement["Condition"]["StringLike"]["kms:ViaService"]
            assert via.endswith(".cn-north-1.*")
            services.add(via.partition(".")[0])
    assert services == expected_services


def test_reserved_concurrency_follows_the_settings_and_is_unset_by_default(
    china: Template, templates: dict[str, Template]
) -> None:
    concurrency = {
        f["FunctionName"].rpartition("-")[2]: f.get("ReservedConcurrentExecutions") for f in functions(china)
    }
    assert concurrency == {
        "decide": None,
        "service": 2,
        "report": 3,
        "promote": None,
        "database": None,
        "approve": None,
    }
    assert not any("ReservedConcurrentExecutions" in f for f in functions(templates["MacroAiProductionRollbackStack"]))


def functions(template: Template) -> list[dict[str, Any]]:
    return resources(template, "AWS::Lambda::Function")


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_events_on_which_a_function_fails_are_kept(environment: str, database_templates: dict[str, Template]) -> None:
    """Cover every function that a rule invokes: EventBridge has delivered an event once Lambda accepts it."""
    template = database_templates[f"MacroAi{environment.title()}RollbackStack"]
    invoked = {
        target["Arn"]["Fn::GetAtt"][0]
        for rule in resources(template, "AWS::Events::Rule")
        for target in rule["Targets"]
        if "Fn::GetAtt" in target["Arn"]
        if template["Resources"][target["Arn"]["Fn::GetAtt"][0]]["Type"] == "AWS::Lambda::Function"
    }
    configurations = {
        configuration["FunctionName"]["Ref"]: configuration
        for configuration in resources(template, "AWS::Lambda::EventInvokeConfig")
    }
    assert set(configurations) == invoked
    for configuration in configurations.values():
        assert "FailedInvocations" in json.dumps(configuration["DestinationConfig"]["OnFailure"])
        assert (configuration["MaximumEventAgeInSeconds"], configuration["MaximumRetryAttempts"]) == (300, 2)


@pytest.mark.parametrize(("environment", "expected_policy"), [("Production", "Retain"), ("Feature", "Delete")])
def test_logs_are_retained_with_the_ledger(
    environment: str, expected_policy: str, templates: dict[str, Template]
) -> None:
    template_resources = templates[f"MacroAi{environment}RollbackStack"]["Resources"].values()
    policies = {r["DeletionPolicy"] for r in template_resources if r["Type"] == "AWS::Logs::LogGroup"}
    assert policies == {expected_policy}


def test_retained_stacks_are_protected_from_deletion(assembly: Path, templates: dict[str, Template]) -> None:
    manifest = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {name: item["properties"] for name, item in manifest.items() if item["type"] == "aws:cloudformation:stack"}
    protected = {name for name, properties in stacks.items() if properties.get("terminationProtection")}
    assert protected == {"MacroAiProductionStack", "MacroAiProductionRollbackStack"}
    for name, expected_value in (("Production", "true"), ("Feature", "false")):
        (balancer,) = resources(templates[f"MacroAi{name}Stack"], "AWS::ElasticLoadBalancingV2::LoadBalancer")
        attributes = {item["Key"]: item["Value"] for item in balancer["LoadBalancerAttributes"]}
        assert attributes["deletion_protection.enabled"] == expected_value


@pytest.mark.parametrize("account_and_region", [{}, HERE])
def test_every_finding_of_cdk_nag_is_acknowledged_with_and_without_a_known_account(
    account_and_region: dict[str, Any], tmp_path: Path, database_context: dict[str, Any]
) -> None:
    """cdk-nag writes tokens and concrete values differently, and acknowledgements quote its text."""
    production = {**database_context["environments"]["production"], **account_and_region}
    place = {"functions": {"probes_in_vpc": PLACE}}
    app_context = {"aws:cdk:bundling-stacks": [], "environments": {"production": {**production, **place}}}
    build(tmp_path, app_context, validate=False, review=True).synth()
