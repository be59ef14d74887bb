"""`rollback-deploy-image` against an ECS service: the image changes, and nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest
from contract.local_cloud.workload import Workload
from typer import Typer
from typer.testing import CliRunner

from local_cloud.deployment.server import LocalCloud
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import InvalidRequest
from rollback.names import RELEASE_TAG, last_known_good_family
from rollback_cli import deployed_stack
from rollback_cli.github_actions.deploy_image import deploy_image

VARIABLES = [{"name": "APP_VERSION", "value": "v1.0.0"}, {"name": "LOG_LEVEL", "value": "info"}]


@pytest.fixture
def workload(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Workload:
    """A service that runs v1, with v2 in its repository; the command finds it in the environment's settings."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    made = Workload(cloud, balanced=False)
    made.push("v1.0.0")
    made.push("v2.0.0")
    monkeypatch.setattr(deployed_stack, "find_deployment", lambda _: _deployment(made.name, "app"))
    return made


def _deployment(name: str, container: str) -> SimpleNamespace:
    settings = ServiceSettings(name="web", cluster=name, ecs_service=name, container=container)
    return SimpleNamespace(settings=SimpleNamespace(service_or_only=lambda _: settings))


def run(*words: str) -> Any:
    app = Typer()
    app.command()(deploy_image)
    return CliRunner().invoke(app, words)


def running(workload: Workload) -> dict[str, Any]:
    service = workload.ecs.describe_services(cluster=workload.name, services=[workload.name])["services"][0]
    answer = workload.ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
    return {**answer["taskDefinition"], "tags": answer.get("tags", [])}


def test_the_image_and_the_version_change_and_nothing_else(workload: Workload) -> None:
    workload.create(workload.register("v1.0.0", environment=VARIABLES), desired=0)
    before = running(workload)

    result = run("production", "--image", f"{workload.repository}:v2.0.0", "--version", "v2.0.0")

    assert result.exit_code == 0, result.output
    after = running(workload)
    (old,), (new,) = before["containerDefinitions"], after["containerDefinitions"]
    assert new["image"] == f"{workload.repository}:v2.0.0"
    assert {one["name"]: one["value"] for one in new["environment"]} == {"APP_VERSION": "v2.0.0", "LOG_LEVEL": "info"}
    changed = {"image", "environment"}
    assert {k: v for k, v in new.items() if k not in changed} == {k: v for k, v in old.items() if k not in changed}
    for name in ("family", "cpu", "memory", "networkMode", "requiresCompatibilities"):
        assert after[name] == before[name], name
    assert after["revision"] == before["revision"] + 1
    assert f"registered {after['taskDefinitionArn']}" in result.output


def test_without_the_variable_none_is_added(workload: Workload) -> None:
    workload.create(workload.register("v1.0.0"), desired=0)
    assert run("production", "--image", f"{workload.repository}:v2.0.0", "--version", "v2.0.0").exit_code == 0
    (container,) = running(workload)["containerDefinitions"]
    assert [one["name"] for one in container.get("environment", [])] == []


def test_after_a_rollback_the_pipeline_keeps_its_own_family_and_drops_the_rollbacks_tag(workload: Workload) -> None:
    workload.register("v1.0.0")
    family = last_known_good_family(workload.name, "production", "web")
    tags = [{"key": RELEASE_TAG, "value": "1a2b"}, {"key": "team", "value": "shop"}]
    container = {"name": "app", "image": f"{workload.repository}:v1.0.0"}
    arn = workload.ecs.register_task_definition(
        family=family, containerDefinitions=[container], cpu="256", memory="512", networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"], tags=tags,
    )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
    workload.create(arn, desired=0)

    assert run("production", "--image", f"{workload.repository}:v2.0.0").exit_code == 0

    after = running(workload)
    assert after["family"] == workload.name
    assert after["tags"] == [{"key": "team", "value": "shop"}]


def test_a_service_that_does_not_exist_is_named(workload: Workload) -> None:
    result = run("production", "--image", f"{workload.repository}:v2.0.0")
    assert isinstance(result.exception, InvalidRequest)
    assert f"there is no ECS service {workload.name}/{workload.name}" in str(result.exception)


def test_a_container_of_another_name_is_refused_before_anything_is_registered(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload.create(workload.register("v1.0.0"), desired=0)
    before = running(workload)
    monkeypatch.setattr(deployed_stack, "find_deployment", lambda _: _deployment(workload.name, "api"))
    result = run("production", "--image", f"{workload.repository}:v2.0.0")
    assert isinstance(result.exception, InvalidRequest)
    assert "has no container api, only app" in str(result.exception)
    listed = workload.ecs.list_task_definitions(familyPrefix=workload.name)["taskDefinitionArns"]
    assert listed == [before["taskDefinitionArn"]]
