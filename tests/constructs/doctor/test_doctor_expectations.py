"""`rollback doctor` expects what the stack creates: the permissions of each function, and the targets of each rule."""

import json
from typing import Any

import pytest
from constructs.test_access import actions, statements

from rollback.domain.settings.environment import Settings
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback_cli.doctor.checks.events import QUEUES, RULES
from rollback_cli.doctor.required_permissions import Resources, ServiceResources, actions_of, needs_of

Template = dict[str, Any]
FUNCTIONS = ("decide", "service", "report", "promote", "database", "approve")
PLACE = AccountAndRegion("123456789012", "eu-west-1")
# The logical id of a rule's target begins with the construct's path.
TARGETS = {
    "WorkflowMachine": "workflow",
    "PromotionMachine": "promotion",
    "ReleaseWatchMachine": "release-watch",
    "FunctionsReport": "report",
    "FunctionsPromote": "promote",
    "FunctionsDatabase": "database",
}


@pytest.fixture(scope="module")
def rollback_stacks(
    templates: dict[str, Template], database_templates: dict[str, Template]
) -> dict[str, tuple[Template, Settings]]:
    """Template and settings of every rollback stack, with and without a database."""
    with_database = {f"{name} with a database": template for name, template in database_templates.items()}
    stacks = {name: template for name, template in {**templates, **with_database}.items() if "RollbackStack" in name}
    return {name: (template, _settings(template)) for name, template in stacks.items()}


def _settings(template: Template) -> Settings:
    value = template["Outputs"]["Settings"]["Value"]
    text = (
        value if isinstance(value, str) else "".join(p if isinstance(p, str) else "token" for p in value["Fn::Join"][1])
    )
    return Settings.model_validate_json(text)


def _resources(function: str, template: Template, settings: Settings) -> Resources:
    variables = next(
        resource["Properties"]["Environment"]["Variables"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
        and resource["Properties"].get("Handler") == f"rollback.handlers.{function}"
    )
    # Staging's definitions name environment files in a bucket.
    buckets = ("shop-settings",) if "s3:ListBucket" in _granted(template, function) else ()
    services = tuple(
        ServiceResources(
            service=service,
            roles=("arn:aws:iam::123456789012:role/task",),
            repositories=("arn:aws:ecr:eu-west-1:123456789012:repository/api",),
            log_groups=("/ecs/api",),
            buckets=buckets,
        )
        for service in settings.services
    )
    return Resources(
        settings=settings,
        place=PLACE,
        table="ledger",
        workflow_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:rollback",
        services=services,
        variables={name: value if isinstance(value, str) else "token" for name, value in variables.items()},
    )


def _granted(template: Template, function: str) -> set[str]:
    return set().union(*(actions(statement) for statement in statements(template, function)))


def _has(template: Template, function: str) -> bool:
    return any(
        resource["Properties"].get("Handler") == f"rollback.handlers.{function}"
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_doctor_simulates_exactly_the_granted_actions(
    function: str, rollback_stacks: dict[str, tuple[Template, Settings]]
) -> None:
    compared = 0
    for name, (template, settings) in rollback_stacks.items():
        if _has(template, function):
            needed = actions_of(needs_of(function, _resources(function, template, settings)))
            assert needed == _granted(template, function), name
            compared += 1
    assert compared


def test_the_doctor_expects_exactly_the_rules_and_targets_of_the_stack(
    rollback_stacks: dict[str, tuple[Template, Settings]],
) -> None:
    for name, (template, settings) in rollback_stacks.items():
        deployed = {}
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Events::Rule":
                rule = resource["Properties"]["Name"].removeprefix(f"{settings.prefix}-rollback-")
                deployed[rule] = {_short_name(target) for target in resource["Properties"]["Targets"]}
        expected = {
            rule: {target for target in targets if target != "database" or settings.database is not None}
            for rule, targets in RULES.items()
        }
        assert deployed == expected, name


def _short_name(target: dict[str, Any]) -> str:
    (reference,) = (value for key, value in target["Arn"].items() if key in ("Ref", "Fn::GetAtt"))
    logical_id = reference if isinstance(reference, str) else reference[0]
    return next(short for prefix, short in TARGETS.items() if logical_id.startswith(prefix))


def test_the_doctor_looks_at_every_queue_of_the_stack(rollback_stacks: dict[str, tuple[Template, Settings]]) -> None:
    for name, (template, settings) in rollback_stacks.items():
        queues = {
            resource["Properties"]["QueueName"].removeprefix(f"{settings.prefix}-rollback-")
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::SQS::Queue"
        }
        assert queues == set(QUEUES), name


def test_only_test_events_of_this_environment_reach_the_state_machine(
    rollback_stacks: dict[str, tuple[Template, Settings]],
) -> None:
    for template, settings in rollback_stacks.values():
        (pattern,) = (
            resource["Properties"]["EventPattern"]
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::Events::Rule" and resource["Properties"]["Name"].endswith("on-test-event")
        )
        assert pattern["detail-type"] == ["rollback.test"]
        assert pattern["detail"] == {"environment": [settings.environment]}
        assert json.dumps(pattern["source"]) == json.dumps([f"{settings.application}.rollback"])
