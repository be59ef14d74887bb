"""Templates of staging and feature: production's with the differences stated here, and with no other.

A snapshot holds production's templates (`test_templates.py`). Each function below changes a template of production as
one setting of `cdk.json` does, and its docstring gives the reason for the setting.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from constructs.conftest import resources

Template = dict[str, Any]
Difference = Callable[[Template], None]

PUBLIC_SUBNETS = ("VpcpublicSubnet1Subnet2BB74ED7", "VpcpublicSubnet2SubnetE34B022A")


def deletes_its_data_with_its_stack(template: Template) -> None:
    """Remove the protection of data: a developer may delete staging and feature, and build them again."""
    for resource in template["Resources"].values():
        is_bucket = resource["Type"] == "AWS::S3::Bucket"  # CloudFormation deletes no bucket that has objects
        if resource.get("DeletionPolicy") == "Retain" and not is_bucket:
            resource["DeletionPolicy"] = resource["UpdateReplacePolicy"] = "Delete"
    for table in resources(template, "AWS::DynamoDB::Table"):
        table["DeletionProtectionEnabled"] = False
    for load_balancer in resources(template, "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = load_balancer["LoadBalancerAttributes"]
        (protection,) = (attribute for attribute in attributes if attribute["Key"] == "deletion_protection.enabled")
        protection["Value"] = "false"


def names_its_image_repository_after_the_environment(template: Template) -> None:
    """Rename the repository: names are unique in an account, and production's has the application's own."""
    (repository,) = resources(template, "AWS::ECR::Repository")
    assert repository["RepositoryName"] == "macro-ai-express-api"
    repository["RepositoryName"] = "macro-ai-production-express-api"


def acts(template: Template) -> None:
    """Let staging and feature act: production observes until its team has read the reports of some weeks."""
    for holder, key in settings_values(template):
        replace_once(holder, key, '"mode":"observe",', "")


def bakes_for(minutes: int, *, requests: int) -> Difference:
    def promotes_sooner_and_after_fewer_requests(template: Template) -> None:
        """Shorten the bake: little traffic, and a bad release harms no customer."""
        for holder, key in settings_values(template):
            policy = '"bake_minutes":30.0,"bake_minimum_requests":500'
            replace_once(holder, key, policy, f'"bake_minutes":{minutes}.0,"bake_minimum_requests":{requests}')
        (promotion,) = (
            machine
            for machine in resources(template, "AWS::StepFunctions::StateMachine")
            if machine["StateMachineName"] == "macro-ai-production-promotion"
        )
        definition = promotion["DefinitionString"]["Fn::Join"][1]
        timeouts = (f'"TimeoutSeconds": {(24 * 60 + bake) * 60},' for bake in (30, minutes))
        replace_once(definition, 0, *timeouts)

    return promotes_sooner_and_after_fewer_requests


def judges_from_five_requests_a_period(template: Template) -> None:
    """Lower the least traffic of an alarm's period: production's 20 requests would leave the alarms mute."""
    judging = [
        (metric, "Expression")
        for alarm in resources(template, "AWS::CloudWatch::Alarm")
        for metric in alarm.get("Metrics", ())
        if "SUM([r,b]) >= " in metric.get("Expression", "")
    ]
    assert len(judging) == 3  # degraded by errors, degraded by latency, outage by errors
    for holder, key in judging:
        replace_once(holder, key, "SUM([r,b]) >= 20", "SUM([r,b]) >= 5")


def runs_its_tasks_in_public_subnets(template: Template) -> None:
    """Remove the private subnets and their NAT gateway: a gateway costs more than feature's task."""
    for name in list(template["Resources"]):
        if name.startswith("VpcprivateSubnet") or re.match(r"VpcpublicSubnet\d(EIP|NATGateway)", name):
            del template["Resources"][name]
    (service,) = resources(template, "AWS::ECS::Service")
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    network["AssignPublicIp"] = "ENABLED"  # without a gateway, a task reaches ECR by an address of its own only
    network["Subnets"] = [{"Ref": name} for name in PUBLIC_SUBNETS]


def runs_smaller_tasks(template: Template) -> None:
    """Halve CPU and memory: feature serves one developer."""
    (definition,) = resources(template, "AWS::ECS::TaskDefinition")
    assert (definition["Cpu"], definition["Memory"]) == ("512", "1024")
    definition |= {"Cpu": "256", "Memory": "512"}


SERVICE = (
    deletes_its_data_with_its_stack,
    names_its_image_repository_after_the_environment,
)
ROLLBACK = (
    deletes_its_data_with_its_stack,
    judges_from_five_requests_a_period,
    acts,
)
DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "MacroAiStagingStack": SERVICE,
    "MacroAiStagingRollbackStack": (
        *ROLLBACK,
        bakes_for(10, requests=20),
    ),
    "MacroAiFeatureStack": (*SERVICE, runs_its_tasks_in_public_subnets, runs_smaller_tasks),
    "MacroAiFeatureRollbackStack": (
        *ROLLBACK,
        bakes_for(5, requests=5),
    ),
}


def settings_values(template: Template) -> Iterator[tuple[list[Any], int]]:
    """Yield each place that holds the settings of the run time, behind the address of the load balancer in them.

    The places are the output and the functions' environments.
    """
    yield template["Outputs"]["Settings"]["Value"]["Fn::Join"][1], -1
    functions = resources(template, "AWS::Lambda::Function")
    assert len(functions) == 4
    for function in functions:
        yield function["Environment"]["Variables"]["ROLLBACK_SETTINGS"]["Fn::Join"][1], -1


def replace_once(holder: Any, key: Any, old: str, new: str) -> None:
    """Replace a part of a text; a text without that part is an error of the stated difference."""
    assert holder[key].count(old) == 1, f"{holder[key]!r} doesn't hold {old!r} once"
    holder[key] = holder[key].replace(old, new)


def unique(pairs: list[tuple[str, Any]]) -> Template:
    """Build an object of JSON whose keys must stay different after they were renamed."""
    assert len(dict(pairs)) == len(pairs), f"equal keys: {sorted(key for key, _ in pairs)}"
    return dict(pairs)


def named_as_production(template: Template, environment: str) -> Template:
    """Rename the environment in a template, and mask the hashes that the CDK makes of the stack's name."""
    text = re.sub(
        rf"\b(\w*MacroAi{environment}(?:Rollback)?Stack\w*?)[0-9A-F]{{8,20}}\b", r"\1<hash>", json.dumps(template)
    )
    text = text.replace(environment, "Production").replace(environment.lower(), "production")
    renamed: Template = json.loads(text, object_pairs_hook=unique)
    return renamed


def environment_and_kind(stack: str) -> tuple[str, str]:
    match = re.fullmatch(r"MacroAi([A-Z][a-z]+?)((?:Rollback)?Stack)", stack)
    assert match
    return match[1], match[2]


def expected_template(templates: dict[str, Template], stack: str, differences: tuple[Difference, ...]) -> Template:
    """Apply the differences to production's template."""
    _, kind = environment_and_kind(stack)
    production = named_as_production(copy.deepcopy(templates[f"MacroAiProduction{kind}"]), "Production")
    for difference in differences:
        difference(production)
    return production


def other_stacks(templates: dict[str, Template]) -> list[str]:
    return sorted(stack for stack in templates if not stack.startswith("MacroAiProduction"))


def test_every_stack_but_production_s_has_its_differences_stated(templates: dict[str, Template]) -> None:
    assert other_stacks(templates) == sorted(DIFFERENCES)


@pytest.mark.parametrize("stack", DIFFERENCES)
def test_a_template_is_production_s_with_the_stated_differences_and_no_other(
    stack: str, templates: dict[str, Template]
) -> None:
    environment, _ = environment_and_kind(stack)
    expected = expected_template(templates, stack, DIFFERENCES[stack])
    assert named_as_production(templates[stack], environment) == expected


@pytest.mark.parametrize(
    ("stack", "difference"),
    [
        pytest.param(stack, difference, id=f"{stack}-{difference.__name__}")
        for stack, differences in DIFFERENCES.items()
        for difference in differences
    ],
)
def test_a_template_has_each_stated_difference(
    stack: str, difference: Difference, templates: dict[str, Template]
) -> None:
    environment, _ = environment_and_kind(stack)
    other_differences = tuple(candidate for candidate in DIFFERENCES[stack] if candidate is not difference)
    assert named_as_production(templates[stack], environment) != expected_template(templates, stack, other_differences)
