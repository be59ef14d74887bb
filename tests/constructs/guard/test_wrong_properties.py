"""Wrong properties of RollbackGuard: all of them together, a line each, by the names that the app gave."""

import re
from typing import Any

import pytest
from aws_cdk import App, Stack, Token
from aws_cdk import aws_ecs as ecs
from aws_cdk.assertions import Annotations as StackAnnotations
from aws_cdk.assertions import Match
from constructs.guard.conftest import ATTRIBUTES, Shop, make_app

from rollback_constructs.guard import RollbackGuard
from rollback_constructs.guarded_service import RollbackService
from rollback_constructs.settings.environment import InvalidSettings


@pytest.fixture(scope="module")
def app() -> App:
    return make_app()


def problems(stack: Stack, **props: Any) -> list[str]:
    """Lines of the error, without the first."""
    service = props.pop("service", None) or RollbackService.from_attributes(**{**ATTRIBUTES, **props.pop("of", {})})
    with pytest.raises(InvalidSettings) as error:
        RollbackGuard(stack, "Guard", **{"service": service, "application": "shop", **props})
    first, *lines = str(error.value).split("\n  ")
    assert first == f"the properties of RollbackGuard {stack.node.path}/Guard are wrong:"
    return lines


@pytest.mark.parametrize(
    ("props", "expected"),
    [
        ({"environment": "Prod EU"}, ["environment is 'Prod EU'; allowed is text that matches"]),
        ({"application": "Shop!"}, ["application is 'Shop!'; allowed is text that matches"]),
        ({"policy": {"bake_minuts": 5}}, ["policy.bake_minuts is not a setting; did you mean bake_minutes?"]),
        ({"alarms": {"period_seconds": 40}}, ["alarms.period_seconds is 40; allowed is a multiple of 60"]),
        ({"of": {"log_group": "a b"}}, ["log_group is 'a b'; allowed is a log group"]),
        ({"of": {"execution_roles": ["execution"]}}, ["execution_roles.0 is 'execution'; allowed is an IAM role"]),
        ({"of": {"base_url": "shop.example"}}, ["base_url is 'shop.example'; allowed is https://<host>"]),
        ({"of": {"endpoint": []}}, ["endpoint is not a setting; did you mean endpoints?"]),
        (
            {"of": {"log_group": "arn:aws:logs:eu-central-1:123456789012:log-group:/team/api"}},
            ["log_group is a log group in region eu-central-1; ecs_service is in eu-west-1"],
        ),
        (
            {"policy": {"bake_minutes": -1}, "ledger": {"retain": "no"}, "of": {"container": "a b"}},
            ["container is 'a b'", "ledger.retain is 'no'; allowed is true or false", "policy.bake_minutes is -1"],
        ),
        (
            {"more_services": [RollbackService.from_attributes(**{**ATTRIBUTES, "ecs_service": "worker", "name": ""})]},
            ["more_services.0.name is empty"],
        ),
        ({"base_url": "https://shop.example"}, ["base_url is given beside a RollbackService"]),
        ({"service": "arn:aws:ecs:eu-west-1:123456789012:service/shop/api"}, ["service is str; allowed is a Fargate"]),
    ],
)
def test_a_wrong_property_is_one_line(app: App, props: dict[str, Any], expected: list[str]) -> None:
    lines = sorted(problems(Stack(app, f"Wrong{len(app.node.children)}"), **props))
    assert len(lines) == len(expected), lines
    for line, beginning in zip(lines, expected, strict=True):
        assert beginning in line


def test_a_missing_property_of_a_service_of_another_app_is_named(app: App) -> None:
    some = {name: ATTRIBUTES[name] for name in ("cluster", "ecs_service")}
    lines = problems(Stack(app, "Missing"), service=RollbackService.from_attributes(**some))
    assert sorted(lines) == ["container is missing", "name is missing"]


def test_what_is_left_out_without_optional_properties_is_a_warning(app: App) -> None:
    some = {name: ATTRIBUTES[name] for name in ("cluster", "ecs_service", "container")}
    stack = Stack(app, "LeftOut")
    RollbackGuard(stack, "Guard", service=RollbackService.from_attributes(**some), application="shop")
    for line in (
        "api has no log_group (it was not given): its error lines are not counted",
        "api has no repository (it was not given): the expiry of its images is not looked at",
        "api has no execution_roles (it was not given): a rollback can't deploy a definition that",
    ):
        StackAnnotations.from_stack(stack).has_warning("/LeftOut/Guard", Match.string_like_regexp(re.escape(line)))


def test_a_guard_before_the_container_says_so() -> None:
    stack = Stack(make_app(), "Early")
    shop = Shop(stack, with_container=False)
    lines = problems(stack, service=shop.service)
    assert "container is missing; the task definition has no container yet: create the guard last" in lines


def test_a_container_without_awslogs_and_an_image_of_another_registry_say_why_nothing_was_read() -> None:
    stack = Stack(make_app(), "Foreign")
    shop = Shop(stack, with_container=False)
    shop.task.add_container("api", image=ecs.ContainerImage.from_registry("docker.io/library/nginx"))
    service = RollbackService.from_service(shop.service)
    assert service.hints["log_group"] == "the container has no log driver, not awslogs"
    assert service.hints["repository"] == "the container's image is in no repository of ECR"
    assert service.hints["execution_role_arns"] == "the task definition has no execution role"
    assert "api has no log_group (the container has no log driver, not awslogs): its error lines are not counted" in (
        service.left_out
    )


def test_a_deployment_controller_that_can_not_be_rolled_back_is_refused() -> None:
    stack = Stack(make_app(), "BlueGreen")
    shop = Shop(stack)
    controller = ecs.DeploymentController(type=ecs.DeploymentControllerType.CODE_DEPLOY)
    service = ecs.FargateService(
        stack, "Other", cluster=shop.cluster, task_definition=shop.task, deployment_controller=controller
    )
    lines = problems(stack, service=service)
    assert "service has the deployment controller CODE_DEPLOY; allowed is ECS, whose rolling" in lines[0]


def test_a_second_guard_in_a_stack_is_refused(shop: Shop) -> None:
    RollbackGuard(shop.stack, "First", service=shop.service, application="shop")
    lines = problems(shop.stack, environment="staging")
    assert lines == ["Shop has another RollbackGuard; allowed is one in a stack"]


def test_a_service_that_is_given_twice_is_refused(shop: Shop) -> None:
    again = RollbackService.from_service(shop.service, name="again")
    lines = problems(shop.stack, service=shop.service, more_services=[again])
    assert any("are the same ECS service" in line and line.endswith("describe it once") for line in lines), lines


def test_a_load_balancer_behind_the_guard_fails_the_synthesis() -> None:
    app = make_app()
    stack = Stack(app, "Late")
    shop = Shop(stack)
    props = {name: ATTRIBUTES[name] for name in ("load_balancer", "target_groups")}
    RollbackGuard(stack, "Guard", service=shop.service, application="shop", **props)
    shop.balance(stack)
    with pytest.raises(RuntimeError, match="api got a target group after the guard was created"):
        app.synth()


def test_a_value_that_is_known_at_deployment_is_not_quoted_as_a_stand_in(app: App) -> None:
    token = Token.as_string({"Ref": "Parameter"})
    lines = problems(Stack(app, "Tokens"), of={"log_group": f"/ecs/{token} x", "cluster": token})
    assert lines == ["log_group is '/ecs/<known at deployment> x'; allowed is a log group: its name or its ARN"]
