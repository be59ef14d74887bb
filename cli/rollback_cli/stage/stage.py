"""The stage: cloud, stacks, releases, traffic."""

import os
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_cloud import load_balancer
from local_cloud.deploy import deploy_assembly
from local_cloud.images import push_image
from local_cloud.load import LoadGenerator
from local_cloud.server import LocalCloud
from rollback.model.settings import ServiceSettings
from rollback_cli.deployed import Deployed, from_outputs, stack_name
from rollback_cli.stage.pager import Page, Pager
from rollback_cli.stage.profile import ENVIRONMENT, SCALE, overrides
from rollback_cli.stage.synthesis import synthesise
from rollback_cli.stage.timeline import Timeline

_SERVICE_STACK = f"MacroAi{ENVIRONMENT.capitalize()}Stack"
# What a pipeline copies of a registered definition; the rest is ECS's own.
_CARRIED_OVER: tuple[str, ...] = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "cpu",
    "memory",
    "requiresCompatibilities",
    "runtimePlatform",
    "volumes",
)
_PATHS = ("/api/status", "/api/ping")
_REQUESTS_PER_SECOND = 25.0


class Stage:
    """Use as a context manager: what it started, it stops."""

    def __init__(self, timeline: Timeline, *, port: int = 0) -> None:
        self._timeline = timeline
        self._folder = tempfile.TemporaryDirectory(prefix="rollback-stage-")
        self.cloud = LocalCloud(port=port, scale=SCALE)
        self.base_url = ""
        self.deployed: Deployed
        self._pager: Pager
        self.load: LoadGenerator | None = None

    def __enter__(self) -> Self:
        self.cloud.start()
        os.environ.update(self.cloud.environment())  # boto3 in this process speaks to this cloud
        self._timeline.say(f"embedded cloud on {self.cloud.endpoint}, waits at 1:{SCALE:g}", "head")
        port = _free_port()
        self.base_url = f"http://localhost:{port}"
        load_balancer.listen_on(port)
        out = Path(self._folder.name)
        synthesise(out, ENVIRONMENT, overrides(self.base_url))
        self._timeline.say("stacks synthesised, functions bundled for this machine")
        outputs = deploy_assembly(self.cloud, out)
        name = stack_name(ENVIRONMENT)
        self.deployed = from_outputs(outputs[name], name)
        self._pager = Pager(self.cloud.client("sns"), self.cloud.client("sqs"), self.deployed.critical_topic_arn)
        self._timeline.say(f"deployed by CloudFormation: {', '.join(outputs)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.load is not None:
            self.load.stop()
        self.cloud.stop()
        self._folder.cleanup()

    def pages(self) -> list[Page]:
        """What the person on call has been told so far."""
        return self._pager.pages()

    @property
    def service(self) -> ServiceSettings:
        """The one service of the stage."""
        return self.deployed.settings.services[0]

    def push(self, version: str, behaviour: dict[str, Any]) -> str:
        """Push an image that behaves as told; its digest."""
        return push_image(self.cloud.client("ecr"), self.repository, version, behaviour)

    @property
    def repository(self) -> str:
        """ECR repository of the service's image."""
        return str(self._container()["image"]).partition("/")[2].partition(":")[0].partition("@")[0]

    def ship(self, version: str, desired_count: int | None = None) -> None:
        """What a deploy pipeline does: the running definition with another image, registered and deployed."""
        ecs = self.cloud.client("ecs")
        definition = self._definition()
        containers = definition["containerDefinitions"]
        for container in containers:
            if container["name"] == self.service.container:
                registry = container["image"].partition("/")[0]
                container["image"] = f"{registry}/{self.repository}:{version}"
        fields = {key: definition[key] for key in _CARRIED_OVER if definition.get(key)}
        answer = ecs.register_task_definition(**fields, containerDefinitions=containers)
        counted = {} if desired_count is None else {"desiredCount": desired_count}
        ecs.update_service(
            cluster=self.service.cluster,
            service=self.service.ecs_service,
            taskDefinition=answer["taskDefinition"]["taskDefinitionArn"],
            **counted,
        )

    def start_load(self) -> LoadGenerator:
        """Traffic, from now on."""
        self.load = LoadGenerator(self.base_url, _REQUESTS_PER_SECOND, _PATHS).start()
        return self.load

    def described(self) -> dict[str, Any]:
        """The service as DescribeServices gives it."""
        ecs = self.cloud.client("ecs")
        found = ecs.describe_services(cluster=self.service.cluster, services=[self.service.ecs_service])
        service: dict[str, Any] = found["services"][0]
        return service

    def running_digests(self) -> set[str]:
        """Digests of the images that the running tasks were really started from."""
        ecs = self.cloud.client("ecs")
        names = {"cluster": self.service.cluster, "serviceName": self.service.ecs_service}
        arns = ecs.list_tasks(**names)["taskArns"]
        if not arns:
            return set()
        tasks = ecs.describe_tasks(cluster=self.service.cluster, tasks=arns)["tasks"]
        return {c.get("imageDigest", "") for t in tasks if t["lastStatus"] == "RUNNING" for c in t["containers"]}

    def _definition(self) -> dict[str, Any]:
        arn = self.described()["taskDefinition"]
        definition: dict[str, Any] = self.cloud.client("ecs").describe_task_definition(taskDefinition=arn)[
            "taskDefinition"
        ]
        return definition

    def _container(self) -> dict[str, Any]:
        containers = self._definition()["containerDefinitions"]
        chosen: dict[str, Any] = next(c for c in containers if c["name"] == self.service.container)
        return chosen


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
