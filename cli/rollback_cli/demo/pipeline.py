"""What a deploy pipeline does to the service of a stage, and what one sees of it; through AWS's APIs only."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from local_cloud.ecr.images import push_image
from rollback.domain.settings.environment import ServiceSettings
from rollback.names import family_of, original_family

CONNECTION_SECRET = "stage/database-url"  # noqa: S105 - a name
# What a pipeline copies of a registered definition; the rest is ECS's own.
_COPIED_FIELDS: tuple[str, ...] = (
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "cpu",
    "memory",
    "requiresCompatibilities",
    "runtimePlatform",
    "volumes",
)


class Pipeline(ABC):
    """Releases of one service."""

    @abstractmethod
    def client(self, service: str) -> Any:
        """A boto3 client on the embedded cloud."""

    @property
    @abstractmethod
    def service(self) -> ServiceSettings:
        """Whose releases."""

    def push(self, version: str, behaviour: dict[str, Any]) -> str:
        """Push an image that behaves as told; its digest."""
        return push_image(self.client("ecr"), self.repository, version, behaviour)

    @property
    def repository(self) -> str:
        """ECR repository of the service's image."""
        containers = self._definition()["containerDefinitions"]
        image: str = next(c["image"] for c in containers if c["name"] == self.service.container)
        return image.partition("/")[2].partition(":")[0].partition("@")[0]

    def ship(self, version: str, desired_count: int | None = None) -> str:
        """The running definition with another image, registered in the pipeline's family and deployed; its ARN."""
        ecs = self.client("ecs")
        definition = self._definition()
        containers = definition["containerDefinitions"]
        for container in containers:
            if container["name"] == self.service.container:
                registry = container["image"].partition("/")[0]
                container["image"] = f"{registry}/{self.repository}:{version}"
        fields = {key: definition[key] for key in _COPIED_FIELDS if definition.get(key)}
        # after a rollback a definition of ours runs, and a pipeline never registers in our families
        family = original_family(family_of(definition["taskDefinitionArn"]))
        answer = ecs.register_task_definition(family=family, **fields, containerDefinitions=containers)
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        counted = {} if desired_count is None else {"desiredCount": desired_count}
        ecs.update_service(
            cluster=self.service.cluster, service=self.service.ecs_service, taskDefinition=arn, **counted
        )
        return arn

    def migrate(self, folder: Path) -> tuple[str, ...]:
        """Apply the migrations that are due, on the database that the tasks are told to use; their tags."""
        from rollback_cli.demo.migrations import apply  # noqa: PLC0415 - with the driver, for who needs it

        return apply(self.connection_uri(), folder)

    def connection_uri(self) -> str:
        """Of the database, from the secret that the tasks have it from."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=CONNECTION_SECRET)
        return str(answer["SecretString"])

    def digest_of(self, version: str) -> str:
        """Of the image that was pushed last as a version."""
        asked = {"repositoryName": self.repository, "imageIds": [{"imageTag": version}]}
        pages = self.client("ecr").get_paginator("describe_images").paginate(**asked)
        return next(str(image["imageDigest"]) for page in pages for image in page["imageDetails"])

    def described(self) -> dict[str, Any]:
        """The service as DescribeServices gives it."""
        found = self.client("ecs").describe_services(cluster=self.service.cluster, services=[self.service.ecs_service])
        service: dict[str, Any] = found["services"][0]
        return service

    def is_settled(self) -> bool:
        """Whether every deployment has completed, on as many tasks as are wanted."""
        service = self.described()
        done = all(d["rolloutState"] == "COMPLETED" for d in service["deployments"])
        return bool(done and service["runningCount"] == service["desiredCount"] > 0)

    def running_digests(self) -> set[str]:
        """Digests of the images that the running tasks were really started from."""
        ecs = self.client("ecs")
        names = {"cluster": self.service.cluster, "serviceName": self.service.ecs_service}
        arns = [arn for page in ecs.get_paginator("list_tasks").paginate(**names) for arn in page["taskArns"]]
        if not arns:
            return set()
        tasks = ecs.describe_tasks(cluster=self.service.cluster, tasks=arns)["tasks"]
        return {c.get("imageDigest", "") for t in tasks if t["lastStatus"] == "RUNNING" for c in t["containers"]}

    def _definition(self) -> dict[str, Any]:
        arn = self.described()["taskDefinition"]
        answer = self.client("ecs").describe_task_definition(taskDefinition=arn)
        definition: dict[str, Any] = answer["taskDefinition"]
        return definition
