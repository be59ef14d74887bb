"""Parsing of the answers of ECS's Describe operations into a `ServiceView`; nothing here calls ECS."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollback.errors import UnsupportedKind, UnsupportedService
from rollback.resources.aws.ecs_service import Deployment, ServiceDeployment, ServiceRevision, ServiceView
from rollback.resources.aws.ecs_task import ServiceTask
from rollback.resources.aws.primary_revision import primary_revision
from rollback.resources.aws.service_shape import shape_of

_EVENTS_KEPT = 10

EcsResponse = Mapping[str, Any]


def require_supported_service(answer: EcsResponse, name: str) -> EcsResponse:
    """Return the one service of a DescribeServices answer.

    Raises:
        UnsupportedService: the service is gone or not ACTIVE.
        UnsupportedKind: the service is a daemon, or not deployed by ECS's rolling update.
    """
    service: EcsResponse | None = next(iter(answer["services"]), None)
    if service is None:
        reasons = ", ".join(str(f.get("reason")) for f in answer.get("failures", ())) or "no answer"
        raise UnsupportedService(f"ECS has no service {name} ({reasons}); check cluster and service in the settings")
    if service["status"] != "ACTIVE":
        raise UnsupportedService(f"service {name} is {service['status']}, not ACTIVE: nothing to roll back")
    objection = _why_wrong_kind(service)
    if objection is not None:
        raise UnsupportedKind(f"service {name} {objection}")
    return service


def _why_wrong_kind(service: EcsResponse) -> str | None:
    """Say why a service can't be rolled back by its task definition alone, and what to do; None: it can.

    UpdateService accepts another `deploymentController` (ECS API reference). CodeDeploy API reference, StopDeployment.
    """
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller == "CODE_DEPLOY":
        return (
            "is deployed by CODE_DEPLOY, not by ECS: roll back there (`aws deploy stop-deployment "
            "--auto-rollback-enabled`), or change its deployment controller to ECS and its strategy to ROLLING"
        )
    if controller != "ECS":
        return (
            f"is deployed by {controller}, not by ECS: roll back with the controller that owns its task sets, or "
            "change its deployment controller to ECS and its strategy to ROLLING"
        )
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy != "ROLLING":
        return (
            f"is deployed {strategy}, not ROLLING: roll back with ECS itself (`aws ecs stop-service-deployment "
            "--stop-type ROLLBACK`), or change its strategy to ROLLING"
        )
    if service.get("schedulingStrategy") == "DAEMON":
        return (
            "has the scheduling strategy DAEMON, which has no desired count: only REPLICA is supported. Roll back "
            "with `aws ecs update-service --task-definition` and the former revision, and remove the service from the "
            "settings"
        )
    return None


def newest_of(deployments: Sequence[EcsResponse]) -> EcsResponse | None:
    """Return the newest deployment of ListServiceDeployments, whose order is not promised."""
    return max(deployments, key=lambda d: d["createdAt"], default=None)


def revision_arns(service: EcsResponse, newest: EcsResponse | None) -> tuple[str, ...]:
    """List the revisions whose definitions and images matter: running, target, source and ECS's rollback target."""
    summaries: list[EcsResponse] = list(service.get("currentServiceRevisions", ()))
    arns = [s["arn"] for s in summaries if "arn" in s]
    if newest is not None:
        arns.append(newest["targetServiceRevision"]["arn"])
        arns += [s["arn"] for s in newest.get("sourceServiceRevisions", ())]
        arns += [arn for arn in (_rollback_arn(newest),) if arn is not None]
    return tuple(dict.fromkeys(arns))


def service_view(service: EcsResponse, newest: EcsResponse | None, revisions: Iterable[EcsResponse]) -> ServiceView:
    """Build the view of a service.

    Args:
        service: from DescribeServices.
        newest: from DescribeServiceDeployments.
        revisions: from DescribeServiceRevisions.
    """
    revision_by_arn = {r["serviceRevisionArn"]: r for r in revisions}
    current = {
        s["arn"]: int(s.get("runningTaskCount", 0)) for s in service.get("currentServiceRevisions", ()) if "arn" in s
    }
    latest = _service_deployment(newest, revision_by_arn) if newest is not None else None
    definitions = {arn: str(r["taskDefinition"]) for arn, r in revision_by_arn.items()}
    return ServiceView(
        arn=service["serviceArn"],
        desired_count=service["desiredCount"],
        running_count=service["runningCount"],
        pending_count=service["pendingCount"],
        deployments=assign_revisions([_deployment(d) for d in service["deployments"]], latest, current, definitions),
        newest=latest,
        deployment_configuration=dict(service.get("deploymentConfiguration", {})),
        target_groups=tuple(b["targetGroupArn"] for b in service.get("loadBalancers", ()) if "targetGroupArn" in b),
        classic_load_balancers=tuple(
            b["loadBalancerName"] for b in service.get("loadBalancers", ()) if "loadBalancerName" in b
        ),
        shape=shape_of(service),
        revisions={
            arn: ServiceRevision(definition_arn=r["taskDefinition"], images=resolved_images(r))
            for arn, r in revision_by_arn.items()
        },
        current_revisions=current,
        last_events=tuple(e["message"] for e in service.get("events", ())[:_EVENTS_KEPT]),
    )


def assign_revisions(
    deployments: Sequence[Deployment],
    newest: ServiceDeployment | None,
    current: Mapping[str, int],
    definitions: Mapping[str, str],
) -> tuple[Deployment, ...]:
    """Add the revisions to deployments: PRIMARY's, and another's if a single revision has its definition.

    Args:
        deployments: entries of `deployments` in DescribeServices.
        newest: newest service deployment; None if ECS lists none.
        current: revision ARN → running tasks.
        definitions: revision ARN → task definition ARN.
    """
    primary = primary_revision(deployments, newest, current, definitions)
    assigned = []
    for deployment in deployments:
        candidates = [arn for arn, definition in definitions.items() if definition == deployment.definition_arn]
        only_revision = candidates[0] if len(candidates) == 1 else None
        assigned.append(
            deployment.model_copy(update={"revision_arn": primary if deployment.is_primary else only_revision})
        )
    return tuple(assigned)


def resolved_images(revision: EcsResponse) -> dict[str, str]:
    """Return container → image by digest of a revision, without the containers whose digest ECS does not report."""
    return {
        c["containerName"]: f"{_repository(c['image'])}@{c['imageDigest']}"
        for c in revision.get("containerImages", ())
        if c.get("imageDigest")
    }


def service_task(task: EcsResponse) -> ServiceTask:
    """Read a task of DescribeTasks. A container has a reason of its own, such as `OutOfMemoryError`."""
    containers = task.get("containers", ())
    reasons = (task.get("stoppedReason", ""), *(str(container.get("reason", "")) for container in containers))
    return ServiceTask(
        arn=task["taskArn"],
        definition_arn=task["taskDefinitionArn"],
        deployment_id=task.get("startedBy", ""),
        is_stopped=task.get("lastStatus") == "STOPPED",
        stopped_at=task.get("stoppedAt"),
        stop_code=task.get("stopCode", ""),
        stop_reason="; ".join(dict.fromkeys(reason for reason in reasons if reason)),
        exit_codes={c["name"]: int(c["exitCode"]) for c in containers if c.get("exitCode") is not None},
        is_unhealthy=task.get("healthStatus") == "UNHEALTHY",
    )


def images_of_tasks(tasks: Iterable[EcsResponse]) -> dict[str, str]:
    """Return container → image by digest of DescribeTasks' tasks, without containers whose tasks differ."""
    images_of: dict[str, set[str]] = {}
    for task in tasks:
        for container in task.get("containers", ()):
            if container.get("imageDigest") and container.get("image"):
                image = f"{_repository(container['image'])}@{container['imageDigest']}"
                images_of.setdefault(container["name"], set()).add(image)
    return {name: images.pop() for name, images in images_of.items() if len(images) == 1}


def _repository(image: str) -> str:
    """Return an image without tag and digest; a colon before the last slash belongs to the registry's port."""
    without_digest = image.partition("@")[0]
    head, slash, tail = without_digest.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def _deployment(answer: EcsResponse) -> Deployment:
    return Deployment(
        id=answer["id"],
        is_primary=answer["status"] == "PRIMARY",
        definition_arn=answer["taskDefinition"],
        rollout_state=answer.get("rolloutState", ""),
        running_count=answer["runningCount"],
        created_at=answer["createdAt"],
    )


def _service_deployment(answer: EcsResponse, revisions: Mapping[str, EcsResponse]) -> ServiceDeployment | None:
    target_arn = answer["targetServiceRevision"]["arn"]
    target = revisions.get(target_arn)
    if target is None:  # ECS has deleted the revision, so that no decision can rest on it
        return None
    source_arn, source_definition = _source(answer, revisions)
    return ServiceDeployment(
        arn=answer["serviceDeploymentArn"],
        status=answer["status"],
        target_definition_arn=target["taskDefinition"],
        target_revision_arn=target_arn,
        source_definition_arn=source_definition,
        source_revision_arn=source_arn,
        rollback_revision_arn=_rollback_arn(answer),
        created_at=answer["createdAt"],
        finished_at=answer.get("finishedAt"),
    )


def _source(answer: EcsResponse, revisions: Mapping[str, EcsResponse]) -> tuple[str | None, str | None]:
    """Return revision and definition to which a stopped deployment would go back; None where they are not known.

    ECS names the revision once it rolls back. Before that, a single source is the revision. A deployment that
    superseded another has several sources, and ECS returns to the last that completed, which the answer does not name.
    The service is then updated instead of its deployment stopped. Several revisions of one definition may have
    different images, so then the revision is not known either.
    """
    going_to = _rollback_arn(answer)
    arns = [going_to] if going_to else [s["arn"] for s in answer.get("sourceServiceRevisions", ())]
    definitions = {str(revisions[arn]["taskDefinition"]) if arn in revisions else None for arn in arns}
    if len(definitions) != 1:
        return None, None
    return (arns[0] if len(arns) == 1 else None), definitions.pop()


def _rollback_arn(answer: EcsResponse) -> str | None:
    arn: str | None = (answer.get("rollback") or {}).get("serviceRevisionArn")
    return arn
