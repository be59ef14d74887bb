"""A deploy pipeline for one service, and the state of that service, through AWS's APIs only."""

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from local_cloud.ecr.images import push_image
from local_cloud.processes import child_processes
from rollback.domain.settings.environment import ServiceSettings
from rollback.names import family_of, original_family
from rollback_cli.demo.profile import ENVIRONMENT
from rollback_cli.demo.waiting import ExpectationFailed

CONNECTION_SECRET = "demo/database-url"  # noqa: S105 - a name
# The fields of a registered definition that a pipeline copies; ECS sets the others.
COPIED_FIELDS: tuple[str, ...] = (
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
    """Ships releases of one service."""

    @abstractmethod
    def client(self, service: str) -> Any:
        """Return a boto3 client for the embedded cloud."""

    @property
    @abstractmethod
    def service(self) -> ServiceSettings:
        """Settings of the service."""

    def push(self, version: str, behaviour: dict[str, Any]) -> str:
        """Push an image whose application has this behaviour; return its digest."""
        return push_image(self.client("ecr"), self.repository, version, behaviour)

    @property
    def repository(self) -> str:
        """Name of the ECR repository of the service's image."""
        return self.image("").partition("/")[2].partition(":")[0]

    def image(self, version: str) -> str:
        """Return the reference to the service's image of a version."""
        containers = self._definition()["containerDefinitions"]
        image: str = next(c["image"] for c in containers if c["name"] == self.service.container)
        registry, _, repository = image.partition("/")
        return f"{registry}/{repository.partition(':')[0].partition('@')[0]}:{version}"

    def ship(self, version: str, desired_count: int | None = None) -> str:
        """Register the running definition with another image in the pipeline's family, deploy it, return its ARN."""
        ecs = self.client("ecs")
        definition = self._definition()
        containers = definition["containerDefinitions"]
        for container in containers:
            if container["name"] == self.service.container:
                container["image"] = self.image(version)
        fields = {key: definition[key] for key in COPIED_FIELDS if definition.get(key)}
        # After a rollback a definition of our families runs; a pipeline registers in its own family only.
        family = original_family(family_of(definition["taskDefinitionArn"]))
        answer = ecs.register_task_definition(family=family, **fields, containerDefinitions=containers)
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        count = {} if desired_count is None else {"desiredCount": desired_count}
        ecs.update_service(cluster=self.service.cluster, service=self.service.ecs_service, taskDefinition=arn, **count)
        return arn

    def checkpoint(self, version: str, folder: Path) -> None:
        """Run `rollback checkpoint`, as a pipeline does. This process's variables must name the embedded cloud.

        Raises:
            ExpectationFailed: the command failed; the message has its output.
        """
        command = [sys.executable, "-m", "rollback_cli.main", "checkpoint", ENVIRONMENT]
        command += ["--version", version, "--migrations", str(folder)]
        result = child_processes.run(command)
        if result.returncode:
            raise ExpectationFailed(f"the command checkpoint failed: {result.stdout}{result.stderr}")

    def migrate(self, folder: Path) -> tuple[str, ...]:
        """Apply the due migrations to the database that the tasks use; return their tags."""
        from rollback_cli.demo.database.migrations import apply  # noqa: PLC0415 - imports psycopg

        return apply(self.connection_uri(), folder)

    def connection_uri(self) -> str:
        """Return the database's connection URI, from the secret that the tasks read."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=CONNECTION_SECRET)
        return str(answer["SecretString"])

    def digest_of(self, version: str) -> str:
        """Return the digest of the image that was pushed last with this tag."""
        query = {"repositoryName": self.repository, "imageIds": [{"imageTag": version}]}
        pages = self.client("ecr").get_paginator("describe_images").paginate(**query)
        return next(str(image["imageDigest"]) for page in pages for image in page["imageDetails"])

    def describe_service(self) -> dict[str, Any]:
        """Return the service as DescribeServices returns it."""
        names = {"cluster": self.service.cluster, "services": [self.service.ecs_service]}
        service: dict[str, Any] = self.client("ecs").describe_services(**names)["services"][0]
        return service

    def is_settled(self) -> bool:
        """Return whether every deployment is COMPLETED and the desired count runs."""
        service = self.describe_service()
        are_completed = all(d["rolloutState"] == "COMPLETED" for d in service["deployments"])
        return bool(are_completed and service["runningCount"] == service["desiredCount"] > 0)

    def running_digests(self) -> set[str]:
        """Return the digests of the images that the running tasks were started from."""
        ecs = self.client("ecs")
        names = {"cluster": self.service.cluster, "serviceName": self.service.ecs_service}
        arns = [arn for page in ecs.get_paginator("list_tasks").paginate(**names) for arn in page["taskArns"]]
        if not arns:
            return set()
        tasks = ecs.describe_tasks(cluster=self.service.cluster, tasks=arns)["tasks"]
        return {c.get("imageDigest", "") for t in tasks if t["lastStatus"] == "RUNNING" for c in t["containers"]}

    def _definition(self) -> dict[str, Any]:
        arn = self.describe_service()["taskDefinition"]
        answer = self.client("ecs").describe_task_definition(taskDefinition=arn)
        definition: dict[str, Any] = answer["taskDefinition"]
        return definition
