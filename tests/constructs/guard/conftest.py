"""Apps that import the construct; the Node of the venv comes first in PATH (`tests/constructs/conftest.py`)."""

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

ACCOUNT, REGION = "123456789012", "eu-west-1"
PLACES = {"unknown": None, "concrete": Environment(account=ACCOUNT, region=REGION)}
BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/shop/50dc6c495c0c9188"
GROUP = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/shop/73e2d6bc24d8a067"
ATTRIBUTES: dict[str, Any] = {
    "cluster": "shop",
    "ecs_service": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/api",
    "container": "api",
    "load_balancer": BALANCER,
    "target_groups": [GROUP],
    "execution_roles": [f"arn:aws:iam::{ACCOUNT}:role/execution"],
    "log_group": "/ecs/shop",
    "repository": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/api",
}


def make_app(outdir: Path | None = None) -> App:
    """Make an app that bundles no code; None: the CDK makes a temporary folder."""
    context: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    folder = str(outdir) if outdir is not None else None
    return App(outdir=folder, context=context, analytics_reporting=False, tree_metadata=False)


class Shop:
    """A service of an importing app; its parts are added one by one, as apps do."""

    def __init__(self, scope: Construct, *, with_container: bool = True) -> None:
        self.stack = Stack.of(scope)
        zones = ["eu-west-1a", "eu-west-1b"]
        self.vpc = ec2.Vpc(scope, "Vpc", availability_zones=zones, nat_gateways=0)
        self.task = ecs.FargateTaskDefinition(scope, "Task")
        self.repository = ecr.Repository(scope, "Repository")
        if with_container:
            self.add_container(scope)
        self.cluster = ecs.Cluster(scope, "Cluster", vpc=self.vpc)
        self.service = ecs.FargateService(scope, "Service", cluster=self.cluster, task_definition=self.task)

    def add_container(self, scope: Construct) -> None:
        image = ecs.ContainerImage.from_ecr_repository(self.repository, "v1")
        log = ecs.LogDrivers.aws_logs(stream_prefix="api")
        ports = [ecs.PortMapping(container_port=80)]
        self.task.add_container("api", image=image, logging=log, port_mappings=ports)

    def balance(self, scope: Construct) -> elbv2.ApplicationLoadBalancer:
        balancer = elbv2.ApplicationLoadBalancer(scope, "Balancer", vpc=self.vpc)
        balancer.add_listener("Http", port=80).add_targets("Api", port=80, targets=[self.service])
        return balancer


@pytest.fixture
def shop() -> Shop:
    """A service behind a load balancer, in a stack whose account and region are not known."""
    stack = Stack(make_app(), "Shop")
    shop = Shop(stack)
    shop.balance(stack)
    return shop
