"""Read an ECS service, its task definition and the roles of the newest revisions; refuse what can't be rolled back."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rollback.errors import CallRefused, InvalidRequest, RefusalKind
from rollback.text import quoted
from rollback_cli.attach.found import Container, Definition
from rollback_cli.attach.names import ServiceName
from rollback_cli.attach.reading import Reader

REVISIONS = 10  # newest revisions of the family whose roles are read: a rollback may go back to any of them
_LISTED_NAMES = 10
_QUEUE_URL = re.compile(r"https://(?:sqs\.[a-z0-9-]+|[a-z0-9-]+\.queue)\.[a-z.]+/\d{12}/[\w.-]{1,80}")


def read_service(reader: Reader, name: ServiceName) -> Mapping[str, Any]:
    """Return `service` of DescribeServices.

    Raises:
        InvalidRequest: there is no such cluster or active service, or the service can't be rolled back by this product.
        ExternalServiceError: ECS refused the call, or did not answer.
    """
    try:
        answer = reader.call(
            "ecs", "DescribeServices", cluster=name.cluster, services=[name.ecs_service], include=["TAGS"]
        )
    except CallRefused as refused:
        if refused.kind is not RefusalKind.NOT_FOUND:
            raise
        clusters = [str(arn) for arn in reader.try_items("clusters", "ecs", "ListClusters", "clusterArns") or ()]
        raise InvalidRequest(
            f"ECS has no cluster {quoted(name.cluster)} in this account and region{_listed(clusters)}; check "
            "--cluster, AWS_PROFILE and AWS_REGION"
        ) from refused
    services = [service for service in answer["services"] if service["status"] == "ACTIVE"]
    if not services:
        others = reader.try_items("services", "ecs", "ListServices", "serviceArns", cluster=name.cluster) or ()
        raise InvalidRequest(
            f"cluster {name.cluster} has no active service {quoted(name.ecs_service)}{_listed(map(str, others))}; "
            "check --service"
        )
    service: Mapping[str, Any] = services[0]
    refuse_unsupported(service)
    return service


def refuse_unsupported(service: Mapping[str, Any]) -> None:
    """Refuse a service that a rollback could not deploy.

    Raises:
        InvalidRequest: the message names the setting of ECS, and the way to roll back without this product.
    """
    name = service["serviceName"]
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller == "CODE_DEPLOY":
        raise InvalidRequest(
            f"service {name} is deployed by CodeDeploy (deploymentController CODE_DEPLOY); use CodeDeploy's own "
            "rollback, or make a service with the controller ECS"
        )
    if controller != "ECS":
        raise InvalidRequest(
            f"service {name} has the deploymentController {controller}: another tool owns its task sets; use that "
            "tool's rollback, or make a service with the controller ECS"
        )
    scheduling = service.get("schedulingStrategy", "REPLICA")
    if scheduling != "REPLICA":
        raise InvalidRequest(
            f"service {name} has the schedulingStrategy {scheduling}: it has no desired count that a rollback could "
            "verify; use a service with REPLICA, or roll back with `aws ecs update-service`"
        )
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy != "ROLLING":
        raise InvalidRequest(
            f"service {name} is deployed with the strategy {strategy}, which keeps a way back of its own; use ECS's "
            "rollback, or set the strategy ROLLING"
        )


def read_definition(reader: Reader, service: Mapping[str, Any]) -> Definition:
    """Read the running task definition, and the roles of the newest revisions of its family.

    Raises:
        ExternalServiceError: ECS refused the first call, or did not answer.
    """
    arn = str(service["taskDefinition"])
    running = reader.call("ecs", "DescribeTaskDefinition", taskDefinition=arn)["taskDefinition"]
    family = str(running["family"])
    listed = reader.try_items(
        "roles of older revisions of the task definition",
        "ecs",
        "ListTaskDefinitions",
        "taskDefinitionArns",
        familyPrefix=family,
        sort="DESC",
    )
    # `familyPrefix` is the full name of a family (ECS API reference), but a prefix in some simulations.
    older = [other for other in listed or () if _family_of(str(other)) == family and other != arn]
    definitions = [running]
    for other in older[: REVISIONS - 1]:
        answer = reader.try_call(
            "roles of older revisions of the task definition", "ecs", "DescribeTaskDefinition", taskDefinition=other
        )
        if answer is None:
            break
        definitions.append(answer["taskDefinition"])
    return Definition(
        arn=arn,
        family=family,
        containers=tuple(_container(container) for container in running["containerDefinitions"]),
        task_roles=_distinct(definition.get("taskRoleArn") for definition in definitions),
        execution_roles=_distinct(definition.get("executionRoleArn") for definition in definitions),
        revision_count=len(definitions),
    )


def choose_container(service: Mapping[str, Any], definition: Definition, wanted: str | None) -> Container:
    """Return the container whose image names the version of a release.

    The container that gets the load balancer's requests is chosen, or else the only essential one.

    Args:
        service: `service` of DescribeServices.
        definition: the running task definition.
        wanted: the option --container.

    Raises:
        InvalidRequest: the definition has no such container, or several might be meant.
    """
    containers = {container.name: container for container in definition.containers}
    names = ", ".join(containers)
    if wanted is not None:
        if wanted not in containers:
            raise InvalidRequest(f"--container is {quoted(wanted)}; the task definition has {names}")
        return containers[wanted]
    balanced = {entry.get("containerName") for entry in service.get("loadBalancers", ())} & containers.keys()
    essential = {container.name for container in definition.containers if container.is_essential}
    for candidates in (balanced, essential):
        if len(candidates) == 1:
            return containers[candidates.pop()]
    raise InvalidRequest(
        f"the task definition has the containers {names}, and it is not certain whose image names the version; "
        "add --container NAME"
    )


def has_insights(reader: Reader, cluster: str) -> bool | None:
    """Return whether Container Insights is on in the cluster; None: not read."""
    answer = reader.try_call(
        "Container Insights of the cluster", "ecs", "DescribeClusters", clusters=[cluster], include=["SETTINGS"]
    )
    if answer is None or not answer["clusters"]:
        return None
    settings = {setting["name"]: setting["value"] for setting in answer["clusters"][0].get("settings", ())}
    return settings.get("containerInsights", "disabled") in {"enabled", "enhanced"}


def stack_of(reader: Reader, service: Mapping[str, Any]) -> str | None:
    """Return the name of the CloudFormation stack that created the service; None: there is none, or it is not known.

    CloudFormation tags a service with `aws:cloudformation:stack-name`. A service with an ARN of the old format has no
    tags, so CloudFormation is asked for its ARN.
    """
    tags = {tag["key"]: tag["value"] for tag in service.get("tags", ())}
    if name := tags.get("aws:cloudformation:stack-name"):
        return str(name)
    subject = "the CloudFormation stack of the service"
    try:
        answer = reader.call("cloudformation", "DescribeStackResources", PhysicalResourceId=service["serviceArn"])
    except CallRefused as refused:
        if refused.kind in {RefusalKind.ACCESS, RefusalKind.CREDENTIALS}:
            reader.record(subject, "cloudformation", "DescribeStackResources", refused)
        return None  # ValidationError: "Stack for <id> does not exist"
    owners = {
        str(resource["StackName"])
        for resource in answer["StackResources"]
        if resource.get("PhysicalResourceId") == service["serviceArn"]
    }
    return owners.pop() if len(owners) == 1 else None


def _container(container: Mapping[str, Any]) -> Container:
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    driver = log.get("logDriver")
    to_cloudwatch = driver == "awslogs"
    variables = {str(variable["name"]): str(variable.get("value", "")) for variable in container.get("environment", ())}
    secrets = [str(secret["name"]) for secret in container.get("secrets", ())]
    files = [str(file["value"]) for file in container.get("environmentFiles", ())]
    return Container(
        name=str(container["name"]),
        image=str(container["image"]),
        is_essential=bool(container.get("essential", True)),
        log_driver=driver,
        log_group=options.get("awslogs-group") if to_cloudwatch else None,
        log_region=options.get("awslogs-region") if to_cloudwatch else None,
        variables=tuple(dict.fromkeys([*variables, *secrets])),
        queue_urls=tuple(dict.fromkeys(url for url in variables.values() if _QUEUE_URL.fullmatch(url))),
        environment_file_buckets=_distinct(file.split(":::", 1)[-1].partition("/")[0] for file in files),
    )


def _distinct(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for value in values if value))


def _family_of(definition_arn: str) -> str:
    return definition_arn.rpartition("/")[2].rpartition(":")[0]


def _listed(arns: Iterable[str]) -> str:
    names = sorted(arn.rpartition("/")[2] for arn in arns)
    if not names:
        return ""
    more = f" and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else ""
    return f"; there are {', '.join(names[:_LISTED_NAMES])}{more}"
