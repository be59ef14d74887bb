"""Task definitions that a rollback of a service may use: the running one, and those of the standing plan's targets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollback.domain.releases.release import Release
from rollback.domain.settings.environment import ServiceSettings
from rollback.identity.task_definition import read_standing_plan
from rollback.ports.all_ports import AllPorts


@dataclass(frozen=True)
class UsedDefinition:
    """A task definition and its use.

    Attributes:
        label: `the running release`, or the version of a target.
        content: `taskDefinition` of DescribeTaskDefinition; None: ECS does not have it.
        release: release of a target; None: the definition is the running one.
    """

    label: str
    arn: str
    content: Mapping[str, Any] | None
    release: Release | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """ARNs of the task role and the execution role."""
        content = self.content or {}
        return tuple(str(content[name]) for name in ("taskRoleArn", "executionRoleArn") if content.get(name))

    @property
    def images(self) -> tuple[str, ...]:
        """Images of the containers, as the definition has them."""
        return tuple(str(container["image"]) for container in (self.content or {}).get("containerDefinitions", ()))

    @property
    def log_groups(self) -> tuple[str, ...]:
        """Log groups of CloudWatch to which the containers write."""
        options = (
            (container.get("logConfiguration") or {}).get("options") or {}
            for container in (self.content or {}).get("containerDefinitions", ())
        )
        return tuple(str(option["awslogs-group"]) for option in options if option.get("awslogs-group"))

    @property
    def buckets(self) -> tuple[str, ...]:
        """S3 buckets of the containers' environment files."""
        containers = (self.content or {}).get("containerDefinitions", ())
        files = (str(file["value"]) for container in containers for file in container.get("environmentFiles", ()))
        return tuple(dict.fromkeys(file.split(":::", 1)[-1].partition("/")[0] for file in files))


def definitions_in_use(service: ServiceSettings, ports: AllPorts) -> tuple[UsedDefinition, ...]:
    """Read the running definition and those of the standing plan's targets.

    Raises:
        UnsupportedService: the service is gone.
        ExternalServiceError: ECS or the ledger did not answer.
    """
    running = ports.services.describe(service).primary.definition_arn
    used = [UsedDefinition("the running release", running, ports.services.definition(running))]
    plan = read_standing_plan(service.name, ports)
    for target in plan.targets if plan is not None else ():
        content = ports.services.definition(target.definition_arn)
        used.append(UsedDefinition(target.release.version, target.definition_arn, content, target.release))
    return tuple(used)


def repositories_of(definitions: Iterable[UsedDefinition], place: str) -> tuple[str, ...]:
    """Return the ARNs of the ECR repositories of the definitions' images.

    Args:
        definitions: task definitions.
        place: partition of the ARNs.
    """
    arns: dict[str, None] = {}
    for image in (image for definition in definitions for image in definition.images):
        registry, _, rest = image.partition("/")
        parts = registry.split(".")
        if len(parts) >= 5 and parts[1:3] == ["dkr", "ecr"]:
            name = rest.partition("@")[0].partition(":")[0]
            arns[f"arn:{place}:ecr:{parts[3]}:{parts[0]}:repository/{name}"] = None
    return tuple(arns)
