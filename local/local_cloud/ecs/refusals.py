"""Refusals of ECS: a service and a task definition that don't fit, an INACTIVE definition, and a role that is gone.

The container name and port of a load balancer "must remain in the task definition" (developer guide, "Use load
balancing"). A Service Connect `portName` "must match the name of one of the portMappings" (API reference). The name of
a volume "must match the name from the task definition" (API reference). Reports quote the messages on containers and
roles, so these have ECS's words. The code of a mismatch is InvalidParameterException.
"""

from collections.abc import Mapping
from typing import Any

from moto.ecs.exceptions import EcsClientException, InvalidParameterException
from moto.iam.models import iam_backends


def refuse_mismatch(definition: Any, service: Mapping[str, Any]) -> None:
    """Refuse a definition that lacks a container, port or volume of the service's settings.

    Args:
        definition: moto's TaskDefinition.
        service: `loadBalancers`, `serviceConnectConfiguration`, `volumeConfigurations`, as the service would have them.

    Raises:
        InvalidParameterException: the definition does not fit.
    """
    containers = {str(container["name"]): container for container in definition.container_definitions}
    for balancer in service.get("loadBalancers") or ():
        _refuse_balancer(balancer, containers)
    _refuse_ports(service.get("serviceConnectConfiguration") or {}, containers)
    _refuse_volumes(service.get("volumeConfigurations") or (), definition)


def _refuse_balancer(balancer: Mapping[str, Any], containers: Mapping[str, Any]) -> None:
    name, port = str(balancer.get("containerName")), balancer.get("containerPort")
    if name not in containers:
        raise InvalidParameterException(f"The container {name} does not exist in the task definition.")
    if port not in [mapping.get("containerPort") for mapping in containers[name].get("portMappings") or ()]:
        raise InvalidParameterException(f"The container {name} did not have a container port {port} defined.")


def _refuse_ports(connect: Mapping[str, Any], containers: Mapping[str, Any]) -> None:
    port_names = {
        mapping.get("name") for container in containers.values() for mapping in container.get("portMappings") or ()
    }
    if not connect.get("enabled"):
        return
    for connect_service in connect.get("services") or ():
        if connect_service.get("portName") not in port_names:
            raise InvalidParameterException(
                f"portName {connect_service.get('portName')} does not refer to any named PortMapping "
                "in the task definition."
            )


def _refuse_volumes(configured: Any, definition: Any) -> None:
    at_launch = {str(volume["name"]) for volume in definition.volumes or () if volume.get("configuredAtLaunch")}
    in_service = {str(volume["name"]) for volume in configured}
    if at_launch != in_service:
        differs = ", ".join(sorted(at_launch ^ in_service))
        raise InvalidParameterException(
            f"Volumes that are configured at launch must be those of the task definition: {differs}."
        )


def require_active_definition(backend: Any, name: str) -> Any:
    """Return the definition to make tasks from.

    Raises:
        EcsClientException: the definition does not exist, or is INACTIVE.
    """
    definition = backend.describe_task_definition(name)
    if definition.status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return definition


def role_problem(definition: Any, overrides: Mapping[str, Any], account: str) -> str | None:
    """Return why ECS can't start a task: a role is gone. None: both roles exist, or belong to another account."""
    for member, attribute in (("executionRoleArn", "execution_role_arn"), ("taskRoleArn", "task_role_arn")):
        arn = overrides.get(member) or getattr(definition, attribute, None)
        if not arn or f"::{account}:" not in arn:
            continue
        name = str(arn).rsplit("/", 1)[-1]
        if not any(role.name == name for role in iam_backends[account]["aws"].roles.values()):
            return (
                f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )
    return None
