"""Read the surroundings of a service: its log group, repositories and scaling, and services that share with it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rollback.errors import CallRefused, RefusalKind
from rollback_cli.attach.found import Container, Definition, LogGroup, Scaling, Sharing
from rollback_cli.attach.names import EcrRepository, ServicePlace, parse_image
from rollback_cli.attach.reading import Reader

MAX_COMPARED = 100  # services of the cluster whose task definitions are read to find what is shared
_BATCH = 10  # DescribeServices takes ten services
_SHARING = "sharing with other services of the cluster"
_SCALING = "scaling of the service"


def read_log_group(reader: Reader, container: Container, place: ServicePlace) -> LogGroup | None:
    """Read the log group of a container; None: it has none in this region, or the group could not be read."""
    name = container.log_group
    if name is None or (container.log_region or place.region) != place.region:
        return None
    groups = reader.try_items(
        f"the log group {name}", "logs", "DescribeLogGroups", "logGroups", logGroupNamePrefix=name
    )
    if groups is None:
        return None
    classes = [str(group.get("logGroupClass", "STANDARD")) for group in groups if group["logGroupName"] == name]
    return LogGroup(name, classes[0] if classes else None)


def read_repositories(
    reader: Reader, containers: Iterable[Container], place: ServicePlace
) -> dict[EcrRepository, bool | None]:
    """Read the private ECR repositories of the containers' images.

    Returns:
        repository → whether it exists; None: it is in another region, or its owner does not show it.
    """
    found: dict[EcrRepository, bool | None] = {}
    for container in containers:
        repository = container.repository
        if repository is None or repository in found:
            continue
        found[repository] = _exists(reader, repository) if repository.region == place.region else None
    return found


def _exists(reader: Reader, repository: EcrRepository) -> bool | None:
    try:
        reader.call("ecr", "DescribeRepositories", registryId=repository.account, repositoryNames=[repository.name])
    except CallRefused as refused:
        if refused.kind is RefusalKind.NOT_FOUND:
            return False
        reader.record(f"the repository {repository.uri}", "ecr", "DescribeRepositories", refused)
        return None
    return True


def read_scaling(reader: Reader, cluster: str, ecs_service: str) -> Scaling | None:
    """Read the service's scalable target with its policies and schedules; None: there is none, or it was not read."""
    resource = {"ServiceNamespace": "ecs", "ResourceId": f"service/{cluster}/{ecs_service}"}
    several = {"ServiceNamespace": "ecs", "ResourceIds": [resource["ResourceId"]]}
    api = "application-autoscaling"
    targets = reader.try_items(_SCALING, api, "DescribeScalableTargets", "ScalableTargets", **several)
    if not targets:
        return None
    policies = reader.try_items(_SCALING, api, "DescribeScalingPolicies", "ScalingPolicies", **resource)
    actions = reader.try_items(_SCALING, api, "DescribeScheduledActions", "ScheduledActions", **resource)
    return Scaling(
        min_capacity=int(targets[0]["MinCapacity"]),
        max_capacity=int(targets[0]["MaxCapacity"]),
        policies=tuple(str(policy["PolicyName"]) for policy in policies or ()),
        scheduled_actions=tuple(str(action["ScheduledActionName"]) for action in actions or ()),
    )


def read_sharing(
    reader: Reader, cluster: str, service: Mapping[str, Any], definition: Definition, container: Container
) -> Sharing | None:
    """Compare the service with the others of its cluster; None: they could not be read.

    Services of other clusters are not compared. Load balancers are compared by their rules, whatever the cluster.
    """
    arns = reader.try_items(_SHARING, "ecs", "ListServices", "serviceArns", cluster=cluster)
    if arns is None:
        return None
    others = sorted(str(arn) for arn in arns if arn != service["serviceArn"])
    compared = others[:MAX_COMPARED]
    shared: dict[str, list[str]] = {"log_group": [], "family": [], "repository": []}
    definitions: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(compared), _BATCH):
        answer = reader.try_call(
            _SHARING, "ecs", "DescribeServices", cluster=cluster, services=compared[start : start + _BATCH]
        )
        if answer is None:
            return None
        for other in answer["services"]:
            arn = str(other.get("taskDefinition", ""))
            if arn and arn not in definitions:
                described = reader.try_call(_SHARING, "ecs", "DescribeTaskDefinition", taskDefinition=arn)
                if described is None:
                    return None
                definitions[arn] = described["taskDefinition"]
            for thing in _shared_things(definitions.get(arn, {}), definition, container):
                shared[thing].append(str(other["serviceName"]))
    return Sharing(len(compared), len(others), **{thing: tuple(names) for thing, names in shared.items()})


def _shared_things(other: Mapping[str, Any], definition: Definition, container: Container) -> Iterable[str]:
    if other.get("family") == definition.family:
        yield "family"
    containers = other.get("containerDefinitions", ())
    options = [(one.get("logConfiguration") or {}).get("options") or {} for one in containers]
    if container.log_group and container.log_group in {option.get("awslogs-group") for option in options}:
        yield "log_group"
    if container.repository and container.repository in {parse_image(str(one["image"])) for one in containers}:
        yield "repository"
