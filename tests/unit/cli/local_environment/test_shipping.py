"""`rollback local ship` ships a release once, and refuses what a pipeline would refuse."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from simulations.service import QUARANTINED, Simulation, start_simulation

from local_cloud.ecr.images import BEHAVIOUR_ANNOTATION
from local_cloud.iam import credentials
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import InvalidRequest
from rollback_cli.demo.pipeline import Pipeline
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.local_environment.behaviours import BEHAVIOURS
from rollback_cli.local_environment.shipping import ship_release

REPOSITORY = "macro-ai-express-api"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


class MotoPipeline(Pipeline):
    """A pipeline of a service in moto, with none of its tasks."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.client("ecr").create_repository(repositoryName=REPOSITORY)
        ecs, service = self.client("ecs"), self.service
        container = {"name": service.container, "image": f"{REGISTRY}/{REPOSITORY}:none", "memory": 512}
        ecs.create_cluster(clusterName=service.cluster)
        ecs.register_task_definition(family="macro-ai-production-task", containerDefinitions=[container])
        ecs.create_service(
            cluster=service.cluster, serviceName=service.ecs_service, taskDefinition="macro-ai-production-task",
            desiredCount=0,
        )  # fmt: skip

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="eu-west-1")  # type: ignore[call-overload]

    @property
    def service(self) -> ServiceSettings:
        return self.simulation.service_settings

    def push(self, version: str, behaviour: dict[str, Any]) -> str:
        """Push the image; the simulation's registry learns of it."""
        digest = super().push(version, behaviour)
        self.simulation.images.push(f"{REGISTRY}/{REPOSITORY}:{version}", digest)
        return digest

    def ship_release(self, version: str, behaves: str = "healthy", **options: bool) -> None:
        ports = self.simulation.ports
        deployed = DeployedStack(ports.settings, "ledger", "topic", "critical", "workflow")
        ship_release(self, deployed, ports, version, behaves, **options)

    def state(self) -> tuple[object, ...]:
        """Return the images, the running definition and the desired count."""
        service = self.describe_service()
        images = self.client("ecr").list_images(repositoryName=REPOSITORY)["imageIds"]
        return [image["imageTag"] for image in images], service["taskDefinition"], service["desiredCount"]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoPipeline]:
    # The embedded cloud of another test, in the same process, lets these credentials through.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.ADMIN.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.ADMIN.secret_access_key)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield MotoPipeline(start_simulation())


@pytest.mark.parametrize("behaves", BEHAVIOURS)
def test_the_image_of_a_release_has_its_behaviour(pipeline: MotoPipeline, behaves: str) -> None:
    pipeline.ship_release("v9", behaves)
    image = pipeline.client("ecr").batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "v9"}])
    annotation = image["images"][0]["imageManifest"]
    assert BEHAVIOUR_ANNOTATION in annotation
    assert f'\\"kind\\": \\"{behaves}\\"' in annotation


def test_the_first_release_starts_two_tasks_and_the_next_keeps_the_count(pipeline: MotoPipeline) -> None:
    pipeline.ship_release("v1")
    images, definition, count = pipeline.state()
    assert (images, count) == (["v1"], 2)
    assert str(definition).endswith("macro-ai-production-task:2")
    ecs, service = pipeline.client("ecs"), pipeline.service
    ecs.update_service(cluster=service.cluster, service=service.ecs_service, desiredCount=5)
    pipeline.ship_release("v2")
    images, definition, count = pipeline.state()
    assert (images, count) == (["v1", "v2"], 5)
    assert str(definition).endswith("macro-ai-production-task:3")


@pytest.mark.parametrize(
    ("version", "behaves", "options", "message"),
    [
        ("v1", "healthy", {}, "v1 was shipped already"),
        ("v/2", "healthy", {}, "can't be the tag of an image"),
        ("v2", "eror", {}, "choose one of healthy, errors"),
        ("v2", "healthy", {"should_migrate": True}, "--migrate needs a database"),
    ],
)
def test_a_request_that_is_not_valid_changes_nothing(
    pipeline: MotoPipeline, version: str, behaves: str, options: dict[str, bool], message: str
) -> None:
    pipeline.ship_release("v1")
    before = pipeline.state()
    with pytest.raises(InvalidRequest, match=message) as refused:
        pipeline.ship_release(version, behaves, **options)
    assert "nothing was shipped" in str(refused.value)
    assert pipeline.state() == before


def test_during_a_rollback_nothing_is_shipped_and_the_version_stays_free(pipeline: MotoPipeline) -> None:
    pipeline.simulation.admit()
    before = pipeline.state()
    with pytest.raises(InvalidRequest, match="a rollback of express-api is in progress"):
        pipeline.ship_release("v2")
    assert pipeline.state() == before


def test_a_quarantined_version_does_not_stop_another_image(pipeline: MotoPipeline) -> None:
    pipeline.simulation.ship("v3", QUARANTINED)
    pipeline.ship_release("v4")
    assert pipeline.state()[0] == ["v4"]


def test_a_repository_that_is_gone_is_no_success(pipeline: MotoPipeline) -> None:
    pipeline.client("ecr").delete_repository(repositoryName=REPOSITORY, force=True)
    with pytest.raises(ClientError, match="RepositoryNotFound"):
        pipeline.ship_release("v1")
