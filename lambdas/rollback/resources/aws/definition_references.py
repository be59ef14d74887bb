"""Everything outside that a task definition refers to: ECS needs each of them to start a task.

Members by the ECS API reference (TaskDefinition, ContainerDefinition, LogConfiguration, Secret, RepositoryCredentials,
EnvironmentFile, FirelensConfiguration, Volume) and the developer guide ("Using the awslogs log driver").
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
    """How a reference is looked up."""

    ROLE = "role"
    LOG_GROUP = "log_group"
    SECRET = "secret"  # noqa: S105 - a kind; of Secrets Manager
    PARAMETER = "parameter"  # of SSM
    FILE = "file"  # an object in S3
    OTHER = "other"  # nothing of ours asks for it


@dataclass(frozen=True, order=True)
class Reference:
    """One of them.

    Attributes:
        value: as the definition has it: an ARN, or a name.
        region: of a log group; empty: the service's own.
    """

    kind: ReferenceKind
    value: str
    region: str = ""

    @property
    def in_words(self) -> str:
        """As a person would look for it."""
        return f"{self.value} in {self.region}" if self.region else self.value

    def account(self) -> str | None:
        """The account in its ARN; None: it is a name, or its ARN has none."""
        parts = self.value.split(":")
        return parts[4] or None if self.value.startswith("arn:") and len(parts) > 5 else None


def references(definition: Definition) -> tuple[Reference, ...]:
    """Each thing once, in a stable order.

    Args:
        definition: `taskDefinition` as DescribeTaskDefinition gives it.
    """
    found = {*_roles(definition), *_volumes(definition)}
    for container in definition.get("containerDefinitions", ()):
        found |= {*_of_container(container), *_logs(container)}
    return tuple(sorted(found))


def _roles(definition: Definition) -> Iterator[Reference]:
    for member in ("taskRoleArn", "executionRoleArn"):
        if definition.get(member):
            yield Reference(ReferenceKind.ROLE, str(definition[member]))


def _volumes(definition: Definition) -> Iterator[Reference]:
    for volume in definition.get("volumes", ()):
        for member, what in _VOLUMES.items():
            if volume.get(member):
                called = volume[member].get("fileSystemId") or volume.get("name")
                yield Reference(ReferenceKind.OTHER, f"{what} {called}")


def _of_container(container: Definition) -> Iterator[Reference]:
    for secret in container.get("secrets", ()):
        yield _secret(str(secret["valueFrom"]))
    credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    if credentials:  # of Secrets Manager always, and by name where it is in the service's region
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
    if str(options.get("awslogs-create-group", "")).lower() != "true":  # else the driver makes it
        yield Reference(ReferenceKind.LOG_GROUP, str(options["awslogs-group"]), str(options.get("awslogs-region", "")))


def _secret(value_from: str) -> Reference:
    """A full ARN of Secrets Manager; else a parameter, by ARN or by name."""
    return Reference(ReferenceKind.SECRET if ":secretsmanager:" in value_from else ReferenceKind.PARAMETER, value_from)
