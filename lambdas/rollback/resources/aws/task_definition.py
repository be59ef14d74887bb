"""Normal form of task definitions: two definitions with one normal form are the same release.

The normal form is built from an allow-list: the members of RegisterTaskDefinition (ECS API reference,
RegisterTaskDefinition and ContainerDefinition, service model of botocore 1.44). A member that AWS adds to its answers
later changes no identity. Two definitions that differ in such a member alone are deliberately the same release until
the allow-list has the member. The stored and registered definition is always complete.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# The member is kept whole: a value, a list of values, or a map with keys of the team.
_WHOLE: None = None
_Members = Mapping[str, Any]

_CONTAINER: _Members = {
    "name": _WHOLE,
    "image": _WHOLE,
    "repositoryCredentials": {"credentialsParameter": _WHOLE},
    "cpu": _WHOLE,
    "memory": _WHOLE,
    "memoryReservation": _WHOLE,
    "links": _WHOLE,
    "portMappings": {
        "containerPort": _WHOLE,
        "hostPort": _WHOLE,
        "protocol": _WHOLE,
        "name": _WHOLE,
        "appProtocol": _WHOLE,
        "containerPortRange": _WHOLE,
    },
    "essential": _WHOLE,
    "restartPolicy": {"enabled": _WHOLE, "ignoredExitCodes": _WHOLE, "restartAttemptPeriod": _WHOLE},
    "entryPoint": _WHOLE,
    "command": _WHOLE,
    "environment": {"name": _WHOLE, "value": _WHOLE},
    "environmentFiles": {"value": _WHOLE, "type": _WHOLE},
    "mountPoints": {"sourceVolume": _WHOLE, "containerPath": _WHOLE, "readOnly": _WHOLE},
    "volumesFrom": {"sourceContainer": _WHOLE, "readOnly": _WHOLE},
    "linuxParameters": {
        "capabilities": {"add": _WHOLE, "drop": _WHOLE},
        "devices": {"hostPath": _WHOLE, "containerPath": _WHOLE, "permissions": _WHOLE},
        "initProcessEnabled": _WHOLE,
        "sharedMemorySize": _WHOLE,
        "tmpfs": {"containerPath": _WHOLE, "size": _WHOLE, "mountOptions": _WHOLE},
        "maxSwap": _WHOLE,
        "swappiness": _WHOLE,
    },
    "secrets": {"name": _WHOLE, "valueFrom": _WHOLE},
    "dependsOn": {"containerName": _WHOLE, "condition": _WHOLE},
    "startTimeout": _WHOLE,
    "stopTimeout": _WHOLE,
    "versionConsistency": _WHOLE,
    "hostname": _WHOLE,
    "user": _WHOLE,
    "workingDirectory": _WHOLE,
    "disableNetworking": _WHOLE,
    "privileged": _WHOLE,
    "readonlyRootFilesystem": _WHOLE,
    "dnsServers": _WHOLE,
    "dnsSearchDomains": _WHOLE,
    "extraHosts": {"hostname": _WHOLE, "ipAddress": _WHOLE},
    "dockerSecurityOptions": _WHOLE,
    "interactive": _WHOLE,
    "pseudoTerminal": _WHOLE,
    "dockerLabels": _WHOLE,
    "ulimits": {"name": _WHOLE, "softLimit": _WHOLE, "hardLimit": _WHOLE},
    "logConfiguration": {
        "logDriver": _WHOLE,
        "options": _WHOLE,
        "secretOptions": {"name": _WHOLE, "valueFrom": _WHOLE},
    },
    "healthCheck": {
        "command": _WHOLE,
        "interval": _WHOLE,
        "timeout": _WHOLE,
        "retries": _WHOLE,
        "startPeriod": _WHOLE,
    },
    "systemControls": {"namespace": _WHOLE, "value": _WHOLE},
    "resourceRequirements": {
        "value": _WHOLE,
        "type": _WHOLE,
        "sharingStrategy": {"nvidiaMps": {"memory": _WHOLE, "maxComputePercent": _WHOLE}},
    },
    "firelensConfiguration": {"type": _WHOLE, "options": _WHOLE},
    "credentialSpecs": _WHOLE,
}

_VOLUME: _Members = {
    "name": _WHOLE,
    "host": {"sourcePath": _WHOLE},
    "dockerVolumeConfiguration": {
        "scope": _WHOLE,
        "autoprovision": _WHOLE,
        "driver": _WHOLE,
        "driverOpts": _WHOLE,
        "labels": _WHOLE,
    },
    "efsVolumeConfiguration": {
        "fileSystemId": _WHOLE,
        "rootDirectory": _WHOLE,
        "transitEncryption": _WHOLE,
        "transitEncryptionPort": _WHOLE,
        "authorizationConfig": {"accessPointId": _WHOLE, "iam": _WHOLE},
    },
    "s3filesVolumeConfiguration": {
        "fileSystemArn": _WHOLE,
        "rootDirectory": _WHOLE,
        "transitEncryptionPort": _WHOLE,
        "accessPointArn": _WHOLE,
    },
    "fsxWindowsFileServerVolumeConfiguration": {
        "fileSystemId": _WHOLE,
        "rootDirectory": _WHOLE,
        "authorizationConfig": {"credentialsParameter": _WHOLE, "domain": _WHOLE},
    },
    "configuredAtLaunch": _WHOLE,
}

# `family` and `tags` are left out, since they don't decide what runs.
ALLOWED: _Members = {
    "taskRoleArn": _WHOLE,
    "executionRoleArn": _WHOLE,
    "networkMode": _WHOLE,
    "containerDefinitions": _CONTAINER,
    "volumes": _VOLUME,
    "placementConstraints": {"type": _WHOLE, "expression": _WHOLE},
    "requiresCompatibilities": _WHOLE,
    "cpu": _WHOLE,
    "memory": _WHOLE,
    "pidMode": _WHOLE,
    "ipcMode": _WHOLE,
    "proxyConfiguration": {
        "type": _WHOLE,
        "containerName": _WHOLE,
        "properties": {"name": _WHOLE, "value": _WHOLE},
    },
    "inferenceAccelerators": {"deviceName": _WHOLE, "deviceType": _WHOLE},
    "ephemeralStorage": {"sizeInGiB": _WHOLE},
    "runtimePlatform": {"cpuArchitecture": _WHOLE, "operatingSystemFamily": _WHOLE},
    "enableFaultInjection": _WHOLE,
    "trustedExecutionConfiguration": {"isolationMode": _WHOLE, "attestationPolicy": _WHOLE},
}

# Path of a member → the value that ECS assumes for a missing member (ECS API reference, each member's text). A switch
# whose text names no default is off: ECS answers `false`, or leaves the member out.
_DEFAULTS: Mapping[str, object] = {
    "networkMode": "bridge",
    "enableFaultInjection": False,
    "containerDefinitions.cpu": 0,
    "containerDefinitions.essential": True,
    "containerDefinitions.disableNetworking": False,
    "containerDefinitions.privileged": False,
    "containerDefinitions.readonlyRootFilesystem": False,
    "containerDefinitions.interactive": False,
    "containerDefinitions.pseudoTerminal": False,
    "containerDefinitions.versionConsistency": "enabled",
    "containerDefinitions.portMappings.protocol": "tcp",
    "containerDefinitions.portMappings.hostPort": 0,
    "containerDefinitions.restartPolicy.restartAttemptPeriod": 300,
    "containerDefinitions.mountPoints.readOnly": False,
    "containerDefinitions.volumesFrom.readOnly": False,
    "containerDefinitions.linuxParameters.initProcessEnabled": False,
    "containerDefinitions.healthCheck.interval": 30,
    "containerDefinitions.healthCheck.timeout": 5,
    "containerDefinitions.healthCheck.retries": 3,
    "containerDefinitions.healthCheck.startPeriod": 0,
    "volumes.configuredAtLaunch": False,
    "volumes.efsVolumeConfiguration.rootDirectory": "/",
    "volumes.efsVolumeConfiguration.transitEncryption": "DISABLED",
    "volumes.efsVolumeConfiguration.authorizationConfig.iam": "DISABLED",
}

# Lists that ECS returns in any order.
_UNORDERED: Mapping[str, Callable[[Any], str]] = {
    "containerDefinitions": lambda member: str(member.get("name")),
    "containerDefinitions.environment": lambda member: str(member.get("name")),
    "containerDefinitions.secrets": lambda member: str(member.get("name")),
    "containerDefinitions.ulimits": lambda member: str(member.get("name")),
    "containerDefinitions.systemControls": lambda member: str(member.get("namespace")),
    "volumes": lambda member: str(member.get("name")),
    "requiresCompatibilities": str,
}

UNRESOLVED = "@unresolved"  # in place of an unknown digest: such a release can be left, and is never a target


def is_pinned(image: str) -> bool:
    """Report whether an image is named by digest."""
    return "@sha256:" in image


def with_images(definition: Mapping[str, Any], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the containers with these images (container name → image); a container that is not named keeps its own."""
    containers = definition["containerDefinitions"]
    return [{**container, "image": images.get(container["name"], container["image"])} for container in containers]


def normal_form(definition: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """Return the normal form: allowed members, sorted, without defaults and empty members.

    Args:
        definition: as described, as stored, or as it was given to be registered: all three are equal here.
        images: container name → image by digest, as ECS resolved it; a container that is not named keeps its own.
    """
    form = _structure({**definition, "containerDefinitions": with_images(definition, images)}, ALLOWED, "")
    if form.get("networkMode") in ("awsvpc", "host"):  # in these modes a missing host port is the container's
        for container in form.get("containerDefinitions", ()):
            for port in container.get("portMappings", ()):
                if port.get("hostPort") == port.get("containerPort"):
                    port.pop("hostPort", None)
    return form


def _allowed(value: Any, members: _Members | None, path: str) -> Any:
    if members is None:
        return value
    if isinstance(value, Mapping):
        return _structure(value, members, path)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [_allowed(item, members, path) for item in value]
        return sorted(items, key=_UNORDERED[path]) if path in _UNORDERED else items
    return value


def _structure(value: Mapping[str, Any], members: _Members, path: str) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for name in members.keys() & value.keys():
        at = f"{path}.{name}".lstrip(".")
        inner = _allowed(value[name], members[name], at)
        if members[name] is None and at in _UNORDERED:
            inner = sorted(inner, key=_UNORDERED[at])
        is_default = at in _DEFAULTS and inner == _DEFAULTS[at] and type(inner) is type(_DEFAULTS[at])
        if inner not in (None, [], {}) and not is_default:
            form[name] = inner
    return form
