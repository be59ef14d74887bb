"""Settings name resources by ARN, URI or name; the functions and the templates get one form."""

from typing import Any

import pytest
from support.wrong_settings import ACCOUNT, ELB, EXISTING, HERE, ID, REGION, attached

from rollback_constructs.settings.aws_names import Kind, parse_name, partition_of
from rollback_constructs.settings.environment import Configuration
from rollback_constructs.settings.service import Service

ARN = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:"


def read(change: dict[str, Any], environment: dict[str, Any] | None = None, **existing: Any) -> Service:
    (service,) = Configuration.read(attached(change, environment, **existing)).environments["production"].services
    return service


@pytest.mark.parametrize(
    ("kind", "texts", "name"),
    [
        (Kind.CLUSTER, ["shop", ARN.format("ecs") + "cluster/shop"], "shop"),
        (Kind.ECS_SERVICE, ["web", ARN.format("ecs") + "service/shop/web", ARN.format("ecs") + "service/web"], "web"),
        (Kind.LOAD_BALANCER, [f"app/shop/{ID}", f"{ELB}loadbalancer/app/shop/{ID}"], f"app/shop/{ID}"),
        (Kind.TARGET_GROUP, [f"targetgroup/a/{ID}", f"{ELB}targetgroup/a/{ID}"], f"targetgroup/a/{ID}"),
        (
            Kind.LOG_GROUP,
            ["/shop", ARN.format("logs") + "log-group:/shop", ARN.format("logs") + "log-group:/shop:*"],
            "/shop",
        ),
        (
            Kind.REPOSITORY,
            [
                "team/api",
                ARN.format("ecr") + "repository/team/api",
                f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/api",
                f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/api:v1.2.3",
                f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws/team/api",
            ],
            "team/api",
        ),
        (Kind.STACK, ["Shop", ARN.format("cloudformation") + "stack/Shop/0f7c1b2e"], "Shop"),
    ],
    ids=str,
)
def test_each_form_of_a_name_becomes_the_same_name(kind: Kind, texts: list[str], name: str) -> None:
    assert {parse_name(kind, text).name for text in texts} == {name}


def test_a_service_may_be_described_by_arns_only() -> None:
    by_arns = read(
        {"cluster": ARN.format("ecs") + "cluster/shop", "ecs_service": ARN.format("ecs") + "service/shop/web"},
        HERE,
        load_balancer=f"{ELB}loadbalancer/app/shop/{ID}",
        target_groups=[f"{ELB}targetgroup/shop/{ID}"],
        log_group=ARN.format("logs") + "log-group:/shop:*",
        repository=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/api",
    )
    assert (by_arns.cluster, by_arns.ecs_service) == ("shop", "web")
    assert by_arns.existing is not None
    assert by_arns.existing.model_dump(mode="json", exclude_defaults=True) == EXISTING


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-est-1", None),
    ],
)
def test_a_region_has_its_partition(region: str, partition: str | None) -> None:
    assert partition_of(region) == partition


def test_a_key_of_another_account_is_accepted() -> None:
    key = f"arn:aws:kms:{REGION}:999999999999:key/0f7c1b2e-0000-0000-0000-000000000000"
    read({}, {**HERE, "keys": {"ledger": key}})
