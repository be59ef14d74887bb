"""Services as apps have them: in another stack, on EC2, with image assets, behind imported load balancers."""

import json
from pathlib import Path
from typing import Any

from aws_cdk import Stack, Stage
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs.guard.conftest import BALANCER, GROUP, Shop, make_app

from rollback_constructs.guard import RollbackGuard
from rollback_constructs.guarded_service import RollbackService, to_plain


def test_a_guard_in_another_stack_imports_the_services_names() -> None:
    app = make_app()
    stage = Stage(app, "Production")
    service_stack, guard_stack = Stack(stage, "Shop"), Stack(stage, "Guard")
    shop = Shop(service_stack)
    shop.balance(service_stack)
    RollbackGuard(guard_stack, "Guard", service=shop.service, application="shop")

    stacks = {s.stack_name: s for s in app.synth().get_nested_assembly("assembly-Production").stacks}

    exported = {
        output["Export"]["Name"]
        for output in stacks["Production-Shop"].template["Outputs"].values()
        if "Export" in output
    }
    imported = imports_in(stacks["Production-Guard"].template)
    assert imported <= exported
    assert {"ExportsOutputRefCluster", "ExportsOutputFnGetAttService"} == {
        beginning
        for beginning in ("ExportsOutputRefCluster", "ExportsOutputFnGetAttService")
        if any(name.startswith(f"Production-Shop:{beginning}") for name in imported)
    }
    settings = json.dumps(stacks["Production-Guard"].template["Outputs"]["RollbackSettings"])
    assert '\\"stack\\":\\"Production-Shop\\"' in settings.replace("\\\\", "\\")


def imports_in(value: Any) -> set[str]:
    match value:
        case {"Fn::ImportValue": str() as name}:
            return {name}
        case dict():
            return set().union(*map(imports_in, value.values()))
        case list():
            return set().union(*map(imports_in, value))
    return set()


def test_a_service_on_ec2_behind_an_imported_load_balancer_is_read() -> None:
    stack = Stack(make_app(), "Shop")
    shop = Shop(stack)
    task = ecs.Ec2TaskDefinition(stack, "OnEc2")
    image = ecs.ContainerImage.from_ecr_repository(shop.repository)
    log = ecs.LogDrivers.aws_logs(stream_prefix="worker")
    task.add_container("worker", image=image, memory_limit_mib=128, logging=log)
    cluster = ecs.Cluster.from_cluster_attributes(stack, "Imported", cluster_name="production", vpc=shop.vpc)
    balancer = elbv2.ApplicationLoadBalancer.from_application_load_balancer_attributes(
        stack, "LoadBalancer", load_balancer_arn=BALANCER, security_group_id="sg-0123456789abcdef0"
    )
    group = elbv2.ApplicationTargetGroup.from_target_group_attributes(stack, "Group", target_group_arn=GROUP)

    described = RollbackService.from_service(
        ecs.Ec2Service(stack, "Worker", cluster=cluster, task_definition=task),
        load_balancer=balancer,
        target_groups=[group],
    )

    settings = described.settings
    assert {name: settings[name] for name in ("cluster", "container", "name", "stack")} == {
        "cluster": "production", "container": "worker", "name": "worker", "stack": "Shop",
    }  # fmt: skip
    assert settings["existing"]["load_balancer"] == BALANCER
    assert settings["existing"]["target_groups"] == [GROUP]


def test_the_repository_of_an_image_asset_is_that_of_the_bootstrap(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    stack = Stack(make_app(), "Shop")
    shop = Shop(stack, with_container=False)
    log = ecs.LogDrivers.aws_logs(stream_prefix="api")
    shop.task.add_container("api", image=ecs.ContainerImage.from_asset(str(tmp_path)), logging=log)

    repository = RollbackService.from_service(shop.service).settings["existing"]["repository"]

    assert stack.resolve(repository) == {"Fn::Sub": "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}"}


def test_the_network_load_balancer_of_a_service_is_named_as_one() -> None:
    stack = Stack(make_app(), "Shop")
    shop = Shop(stack)
    balancer = elbv2.NetworkLoadBalancer(stack, "Balancer", vpc=shop.vpc)
    balancer.add_listener("Tcp", port=80).add_targets("Api", port=80, targets=[shop.service])

    read = RollbackService.from_service(shop.service).settings["existing"]
    given = RollbackService.from_service(shop.service, load_balancer=balancer).settings["existing"]

    assert read["load_balancer"].startswith("net/")
    assert given["load_balancer"].startswith("net/")
    assert to_plain({"balancer": balancer})["balancer"].startswith("net/")
    assert stack.resolve(read["target_groups"]) == stack.resolve(given["target_groups"])
