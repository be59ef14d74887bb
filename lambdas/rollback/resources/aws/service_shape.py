"""Configuration of a service that a task definition must fit, or ECS refuses UpdateService.

A service revision is a task definition *and* the service's own configuration: load balancers, Service Connect, volumes,
network and launch type (ECS developer guide, "Amazon ECS service revisions"). A rollback changes the definition only.

The rules are from these pages of the ECS API reference:

- LoadBalancer: `containerName` "as it appears in a container definition"; `containerPort` "must correspond to a
  containerPort in the task definition". ServiceRegistry has the same members.
- ServiceConnectService and VpcLatticeConfiguration: `portName` is the name of a port mapping.
- ServiceVolumeConfiguration: `name` "must match the volume name". Volume: `configuredAtLaunch` needs
  `volumeConfigurations`.
- CreateService: `networkConfiguration` is for the network mode `awsvpc`, which Fargate needs.
- TaskDefinition: `requiresCompatibilities`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from rollback.check import Check

_PARTS_OF_LONG_ARN = 3  # service/<cluster>/<name>; the old format has no cluster (ECS developer guide, "ARNs and IDs")


class ServiceShape(BaseModel):
    """Configuration of a service from DescribeServices; empty members are not set on the service.

    Attributes:
        ports: container and port to which a load balancer or service discovery sends; port 0 means any port.
        port_names: names of port mappings to which Service Connect and VPC Lattice refer.
        launch_volumes: volumes that the service configures at launch.
        uses_fargate: by launch type or capacity provider; None if not known.
        has_network: whether the service has an `awsvpc` network configuration; None if not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ports: tuple[tuple[str, int], ...] = ()
    port_names: tuple[str, ...] = ()
    launch_volumes: tuple[str, ...] = ()
    uses_fargate: bool | None = None
    has_network: bool | None = None


def shape_of(service: Mapping[str, Any]) -> ServiceShape:
    """Read the configuration of a service; Service Connect and volumes are in its PRIMARY deployment."""
    none: Mapping[str, Any] = {}
    primary = next((d for d in service.get("deployments", ()) if d.get("status") == "PRIMARY"), none)
    ports = [
        (str(entry["containerName"]), int(entry.get("containerPort") or 0))
        for entry in (*service.get("loadBalancers", ()), *service.get("serviceRegistries", ()))
        if entry.get("containerName")
    ]
    connect = primary.get("serviceConnectConfiguration") or {}
    connected = (connect.get("services") or ()) if connect.get("enabled") else ()
    lattice = primary.get("vpcLatticeConfigurations") or ()
    return ServiceShape(
        ports=tuple(dict.fromkeys(ports)),
        port_names=tuple(
            dict.fromkeys(str(entry["portName"]) for entry in (*connected, *lattice) if entry.get("portName"))
        ),
        launch_volumes=tuple(str(entry["name"]) for entry in primary.get("volumeConfigurations") or ()),
        uses_fargate=_uses_fargate(service),
        has_network=bool((service.get("networkConfiguration") or {}).get("awsvpcConfiguration")),
    )


def check_fits_service(definition: Mapping[str, Any], shape: ServiceShape) -> Check:
    """Check that ECS would accept the definition for the service."""
    name = "service-accepts-definition"
    problems = [*_ports(definition, shape), *_volumes(definition, shape), *_network(definition, shape)]
    if problems:
        reason = (
            f"{'; '.join(problems)}: ECS refuses the definition, or its tasks serve nothing; change the service first"
        )
        return Check.failed(name, reason)
    return Check.passed(name, "the definition has all that the service's configuration refers to")


def arn_format(service_arn: str) -> Check:
    """Check that the service's ARN names its cluster, as policies and event patterns expect."""
    name, resource = "service-arn-is-in-long-format", service_arn.rpartition(":")[2]
    if len(resource.split("/")) >= _PARTS_OF_LONG_ARN:
        return Check.passed(name, "the ARN names the cluster")
    reason = (
        f"{service_arn} is in the old format, without its cluster: our policies and event patterns do not match it; "
        "create the service again, with long ARNs switched on"
    )
    return Check.warned(name, reason)


def _uses_fargate(service: Mapping[str, Any]) -> bool | None:
    providers = [str(entry.get("capacityProvider")) for entry in service.get("capacityProviderStrategy") or ()]
    if providers:
        return any(provider in ("FARGATE", "FARGATE_SPOT") for provider in providers)
    launch_type = service.get("launchType")
    return launch_type == "FARGATE" if launch_type else None


def _ports(definition: Mapping[str, Any], shape: ServiceShape) -> Iterator[str]:
    containers = {str(c["name"]): c.get("portMappings") or () for c in definition.get("containerDefinitions", ())}
    for container, port in shape.ports:
        if container not in containers:
            yield f"the service sends to container {container}, which the definition lacks"
        elif port and port not in {mapping.get("containerPort") for mapping in containers[container]}:
            yield f"the service sends to port {port} of {container}, which the definition does not map"
    port_names = {mapping.get("name") for mappings in containers.values() for mapping in mappings}
    for port_name in shape.port_names:
        if port_name not in port_names:
            yield f"the service refers to port mapping {port_name}, which the definition lacks"


def _volumes(definition: Mapping[str, Any], shape: ServiceShape) -> Iterator[str]:
    at_launch = [str(v.get("name")) for v in definition.get("volumes") or () if v.get("configuredAtLaunch")]
    for volume in shape.launch_volumes:
        if volume not in at_launch:
            yield f"the service configures volume {volume} at launch, which the definition does not configure at launch"
    for volume in at_launch:
        if volume not in shape.launch_volumes:
            yield f"the definition's volume {volume} is configured at launch, and the service does not configure it"


def _network(definition: Mapping[str, Any], shape: ServiceShape) -> Iterator[str]:
    mode = definition.get("networkMode")
    if shape.has_network is not None and mode is not None and (mode == "awsvpc") is not shape.has_network:
        has = "has" if shape.has_network else "lacks"
        yield f"the definition's network mode is {mode}, and the service {has} a network configuration"
    compatibilities = definition.get("requiresCompatibilities") or ()
    if shape.uses_fargate and compatibilities and "FARGATE" not in compatibilities:
        yield f"the definition requires {', '.join(compatibilities)}, and the service runs on Fargate"
