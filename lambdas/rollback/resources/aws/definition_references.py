"""References of a task definition to other resources, each of which ECS needs to start a task.

The members are from the ECS API reference (TaskDefinition, ContainerDefinition, LogConfiguration, Secret,
RepositoryCredentials, EnvironmentFile, FirelensConfiguration, Volume) and the developer guide ("Using the awslogs log
driver").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Definition = Mapping[str, Any]

_VOLUMES = {
    "efsVolumeConfiguration": "EFS file system",
    "fsxWindowsFileServerVolumeConfiguration": "FSx file system",
    "dockerVolumeConfiguration": "Docker volume",
    "s3filesVolumeConfiguration": "S3 file system",
}


class ReferenceKind(StrEnum):
    """Kinds of references, each looked up in another way."""

    ROLE = "role"
    LOG_GROUP = "log_group"
    SECRET = "secret"  # noqa: S105 - a kind: a secret of Secrets Manager
    PARAMETER = "parameter"  # SSM parameter
    FILE = "file"  # S3 object
    OTHER = "other"  # no port looks it up


@dataclass(frozen=True, order=True)
class Reference:
    """Reference of a task definition.

    Attributes:
        value: ARN or name, as the definition has it.
        region: region of a log group; an empty region is the service's own.
    """

    kind: ReferenceKind
    value: str
    region: str = ""

    @property
    def in_words(self) -> str:
        """Value, with the region of a log group, by which an operator finds the resource."""
        return f"{self.value} in {self.region}" if self.region else self.value

    def account(self) -> str | None:
        """Return the account of the ARN, or None for a name or an ARN without an account."""
        parts = self.value.split(":")
        return parts[4] or None if self.value.startswith("arn:") and len(parts) > 5 else None


def references(definition: Definition) -> tuple[Reference, ...]:
    """List the references of a definition, each once, in a stable order.

    Args:
        definition: `taskDefinition` of DescribeTaskDefinition.
    """
    all_references = {*_roles(definition), *_volumes(definition)}
    for container in definition.get("containerDefinitions", ()):
        all_references |= {*_of_container(container), *_logs(container)}
    return tuple(sorted(all_references))


def _roles(definition: Definition) -> Iterator[Reference]:
    for member in ("taskRoleArn", "executionRoleArn"):
        if definition.get(member):
            yield Reference(ReferenceKind.ROLE, str(definition[member]))


def _volumes(definition: Definition) -> Iterator[Reference]:
    for volume in definition.get("volumes", ()):
        for member, kind in _VOLUMES.items():
            if volume.get(member):
                name = volume[member].get("fileSystemId") or volume.get("name")
                yield Reference(ReferenceKind.OTHER, f"{kind} {name}")


def _of_container(container: Definition) -> Iterator[Reference]:
    for secret in container.get("secrets", ()):
        yield _secret(str(secret["valueFrom"]))
    credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    if credentials:  # always in Secrets Manager; a name means the service's region
        yield Reference(ReferenceKind.SECRET, str(credentials))
    for file in container.get("environmentFiles", ()):
        yield Reference(ReferenceKind.FILE if file.get("type") == "s3" else ReferenceKind.OTHER, str(file.get("value")))
    options = (container.get("firelensConfiguration") or {}).get("options") or {}
    if options.get("config-file-type") == "s3":
        yield Reference(ReferenceKind.FILE, str(options.get("config-file-value")))
    for specification in container.get("credentialSpecs") or ():
        yield Reference(ReferenceKind.OTHER, f"credential specification {specification}")


def _logs(container: Definition) -> Iterator[Reference]:
    configuration = container.get("logConfiguration") or {}
    for secret in configuration.get("secretOptions") or ():
        yield _secret(str(secret["valueFrom"]))
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs" or not options.get("awslogs-group"):
        return
    if str(options.get("awslogs-create-group", "")).lower() != "true":  # otherwise the log driver creates the group
        yield Reference(ReferenceKind.LOG_GROUP, str(options["awslogs-group"]), str(options.get("awslogs-region", "")))


def _secret(value_from: str) -> Reference:
    """Distinguish a secret, which has a full ARN, from a parameter, which has an ARN or a name."""
    return Reference(ReferenceKind.SECRET if ":secretsmanager:" in value_from else ReferenceKind.PARAMETER, value_from)
