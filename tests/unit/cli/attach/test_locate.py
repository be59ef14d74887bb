"""Cluster and service, from options, CloudFormation, Terraform and Copilot."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.running_service import FakeRunningService, arn

from rollback.errors import CallRefused, InvalidRequest
from rollback_cli.attach import locate
from rollback_cli.attach.names import ServiceName, check_environment, parse_image, parse_service, service_label
from rollback_cli.attach.reading import Reader

CHECKOUT = ServiceName("shop-live", "checkout")
SERVICE_ARN = arn("ecs", "service/shop-live/checkout")


def resource(kind: str, physical_id: str) -> dict[str, str]:
    return {"ResourceType": kind, "PhysicalResourceId": physical_id}


def service(name: str = "checkout") -> dict[str, str]:
    return resource("AWS::ECS::Service", arn("ecs", f"service/shop-live/{name}"))


@pytest.mark.parametrize(
    ("cluster", "text"),
    [
        ("shop-live", "checkout"),
        (arn("ecs", "cluster/shop-live"), "checkout"),
        (None, SERVICE_ARN),
        ("shop-live", SERVICE_ARN),
        ("shop-live", arn("ecs", "service/checkout")),
    ],
)
def test_names_and_arns_are_accepted(cluster: str | None, text: str) -> None:
    assert parse_service(cluster, text) == CHECKOUT


@pytest.mark.parametrize(
    ("cluster", "text", "problem"),
    [
        (None, "checkout", "add --cluster NAME"),
        ("shop live", "checkout", "--cluster is 'shop live'"),
        ("shop-live", "check out", "--service is 'check out'"),
        ("shop-live", arn("ecs", "cluster/shop-live"), "--service is"),
        (arn("ecs", "service/a/b"), "checkout", "--cluster is"),
        ("other", SERVICE_ARN, "in cluster shop-live, and --cluster is other"),
        (None, arn("ecs", "service/checkout"), "add --cluster NAME"),
        ("", "", "--cluster is ''"),
    ],
)
def test_other_texts_are_refused(cluster: str | None, text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        parse_service(cluster, text)


def test_a_stack_names_its_service() -> None:
    aws = FakeRunningService()
    aws.stacks["shop"] = [service(), resource("AWS::ECS::Cluster", "shop-live")]
    assert locate.from_stack(Reader(aws), "shop", None, None) == CHECKOUT


def test_a_nested_stack_is_looked_into_once() -> None:
    aws = FakeRunningService()
    nested = arn("cloudformation", "stack/nested/1")
    aws.stacks["shop"] = [resource("AWS::CloudFormation::Stack", nested)]
    aws.stacks[nested] = [service(), resource("AWS::CloudFormation::Stack", nested)]
    assert locate.from_stack(Reader(aws), "shop", None, None) == CHECKOUT


def test_one_of_several_services_of_a_stack_is_chosen_by_its_name() -> None:
    aws = FakeRunningService()
    aws.stacks["shop"] = [service(), service("cart")]
    with pytest.raises(InvalidRequest, match="several ECS services, shop-live/cart, shop-live/checkout"):
        locate.from_stack(Reader(aws), "shop", None, None)
    assert locate.from_stack(Reader(aws), "shop", None, "checkout") == CHECKOUT
    with pytest.raises(InvalidRequest, match="has no ECS service 'checkuot'; it has"):
        locate.from_stack(Reader(aws), "shop", None, "checkuot")


def test_a_stack_without_service_and_an_unknown_stack_are_refused() -> None:
    aws = FakeRunningService()
    aws.stacks["shop"] = [resource("AWS::ECS::Cluster", "shop-live")]
    with pytest.raises(InvalidRequest, match="stack shop has no ECS service"):
        locate.from_stack(Reader(aws), "shop", None, None)
    with pytest.raises(InvalidRequest, match="there is no stack 'shpo'"):
        locate.from_stack(Reader(aws), "shpo", None, None)


def test_a_stack_that_may_not_be_read_is_no_missing_stack() -> None:
    aws = FakeRunningService()
    aws.denied.add("ListStackResources")
    with pytest.raises(CallRefused):
        locate.from_stack(Reader(aws), "shop", None, None)


def state(*services: dict[str, Any], kind: str = "aws_ecs_service") -> dict[str, Any]:
    """Return a state of Terraform with services."""
    instances = [{"attributes": attributes} for attributes in services]
    managed = {"mode": "managed", "type": kind, "name": "this", "instances": instances}
    return {"version": 4, "resources": [{**managed, "mode": "data", "type": "aws_ecs_cluster"}, managed]}


ATTRIBUTES = {"name": "checkout", "cluster": arn("ecs", "cluster/shop-live"), "id": SERVICE_ARN}


@pytest.mark.parametrize(
    "content",
    [
        state(ATTRIBUTES),
        {"format_version": "1.0", "values": {"root_module": {"child_modules": [{"resources": [
            {"mode": "managed", "type": "aws_ecs_service", "values": ATTRIBUTES}]}]}}},
    ],
    ids=["state", "terraform show -json"],
)  # fmt: skip
def test_a_state_of_terraform_names_its_service(tmp_path: Path, content: dict[str, Any]) -> None:
    file = tmp_path / "terraform.tfstate"
    file.write_text(json.dumps(content))
    assert locate.from_terraform(file, None, None) == CHECKOUT


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "is no state of Terraform"),
        ('{"version": 3}', "has version 3 of the state"),
        (json.dumps(state(ATTRIBUTES, kind="aws_instance")), "has no ECS service; give --cluster and --service"),
        (json.dumps(state(ATTRIBUTES, {**ATTRIBUTES, "name": "cart"})), "has several ECS services"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "terraform.tfstate"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match=problem):
        locate.from_terraform(file, None, None)


def test_copilots_tags_name_its_service() -> None:
    aws = FakeRunningService()
    aws.tagged = [SERVICE_ARN]
    assert locate.from_copilot(Reader(aws), "shop/live/checkout") == CHECKOUT
    aws.tagged = []
    with pytest.raises(InvalidRequest, match="has no ECS service"):
        locate.from_copilot(Reader(aws), "shop/live/checkout")
    with pytest.raises(InvalidRequest, match="give <application>/<environment>/<service>"):
        locate.from_copilot(Reader(aws), "shop/live")


@pytest.mark.parametrize(
    ("name", "label"),
    [("checkout", "checkout"), ("Checkout_API", "checkout-api"), ("-Web-", "web"), ("S1", "s1")],
)
def test_our_name_is_made_from_the_name_in_ecs(name: str, label: str) -> None:
    assert service_label(None, name) == label


def test_wrong_names_of_services_and_environments_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="--name is 'A B'"):
        service_label("A B", "checkout")
    with pytest.raises(InvalidRequest, match="add --name NAME"):
        service_label(None, "__")
    with pytest.raises(InvalidRequest, match="--environment is 'Prod EU'"):
        check_environment("Prod EU")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/api:v1", "team/api"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/api@sha256:00", "team/api"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/api", "api"),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/api:v1", "api"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/api:v1", "api"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/api:v1", "api"),
        ("public.ecr.aws/team/api:v1", None),
        ("docker.io/api", None),
        ("api", None),
    ],
)
def test_the_repository_of_an_image(image: str, name: str | None) -> None:
    repository = parse_image(image)
    assert (repository.name if repository is not None else None) == name
