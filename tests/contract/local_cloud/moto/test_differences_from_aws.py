"""Refusals of ECS: a task definition that does not fit its service, and a missing role."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import Workload, eventually

from local_cloud.deployment.server import LocalCloud


@pytest.fixture
def web(cloud: LocalCloud) -> Iterator[Workload]:
    workload = Workload(cloud)
    yield workload
    if any(s["status"] == "ACTIVE" for s in _services(workload)):
        workload.ecs.delete_service(cluster=workload.name, service=workload.name, force=True)


def _services(web: Workload) -> list[dict[str, Any]]:
    return list(web.ecs.describe_services(cluster=web.name, services=[web.name])["services"])


def definition(web: Workload, *, name: str = "app", port: dict[str, Any] | None = None, **settings: Any) -> str:
    web.push("one")
    mapping = port or {"containerPort": 8080}
    container = {"name": name, "image": f"{web.repository}:one", "portMappings": [mapping]}
    answer = web.ecs.register_task_definition(
        family=web.name, containerDefinitions=[container], cpu="256", memory="512", networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"], **settings,
    )  # fmt: skip
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_definition_without_the_load_balancer_s_container_or_port_is_refused_and_changes_nothing(
    web: Workload,
) -> None:
    web.create(definition(web), desired=1)
    original = web.describe()
    code, message = refusal(web.update, taskDefinition=definition(web, name="api"), desiredCount=5)
    assert (code, message) == (
        "InvalidParameterException",
        "The container app does not exist in the task definition.",
    )
    code, message = refusal(web.update, taskDefinition=definition(web, port={"containerPort": 9090}))
    assert code == "InvalidParameterException"
    assert "container port 8080" in message
    after = web.describe()
    assert (after["desiredCount"], after["taskDefinition"]) == (1, original["taskDefinition"])


def test_a_service_is_not_created_with_a_definition_that_lacks_its_container(web: Workload) -> None:
    assert refusal(web.create, definition=definition(web, name="api"))[0] == "InvalidParameterException"


def test_a_service_connect_port_name_must_be_in_the_definition(web: Workload) -> None:
    named = definition(web, port={"containerPort": 8080, "name": "http"})
    connect = {"enabled": True, "namespace": "shop", "services": [{"portName": "http"}]}
    web.create(named, desired=1, serviceConnectConfiguration=connect)
    code, message = refusal(web.update, taskDefinition=definition(web))
    assert (code, "http" in message) == ("InvalidParameterException", True)


def test_a_volume_that_is_configured_at_launch_must_be_configured_by_the_service(web: Workload) -> None:
    plain = definition(web)
    web.create(plain, desired=1)
    with_volume = definition(web, volumes=[{"name": "data", "configuredAtLaunch": True}])
    code, message = refusal(web.update, taskDefinition=with_volume)
    assert (code, "data" in message) == ("InvalidParameterException", True)


def test_a_missing_role_starts_no_task_and_is_named_in_the_services_events(web: Workload) -> None:
    role = f"arn:aws:iam::{web.cloud.account}:role/gone"
    first = definition(web)
    web.start_and_wait(first, desired=1)
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    web.update(taskDefinition=definition(web, executionRoleArn=role), deploymentConfiguration=breaker)
    message = "failed to launch a task with (error ECS was unable to assume the role"
    eventually(lambda: [event for event in web.describe()["events"] if message in event["message"]])
    eventually(lambda: web.describe()["taskDefinition"] == first)


def test_run_task_with_a_missing_role_is_refused(web: Workload) -> None:
    parameters = {"cluster": web.name, "launchType": "FARGATE", "networkConfiguration": web.network}
    role = f"arn:aws:iam::{web.cloud.account}:role/gone"
    code, message = refusal(web.ecs.run_task, taskDefinition=definition(web, taskRoleArn=role), **parameters)
    assert (code, "unable to assume the role" in message) == ("ClientException", True)


def test_an_arn_of_the_old_format_names_no_cluster(web: Workload) -> None:
    names = ("serviceLongArnFormat", "taskLongArnFormat")
    for name in names:
        web.ecs.put_account_setting(name=name, value="disabled")
    try:
        web.start_and_wait(definition(web), desired=1)
        assert web.describe()["serviceArn"].endswith(f":service/{web.name}")
        (task,) = web.tasks()
        assert task["taskArn"].partition(":task/")[2].count("/") == 0
        web.ecs.delete_service(cluster=web.name, service=web.name, force=True)
    finally:
        for name in names:
            web.ecs.put_account_setting(name=name, value="enabled")
