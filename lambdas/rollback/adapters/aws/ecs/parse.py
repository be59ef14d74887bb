"""A `ServiceView` out of what ECS's Describe calls answer; no calls here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollback.errors import UnsupportedService
from rollback.resources.aws.ecs_service import Deployment, ServiceDeployment, ServiceRevision, ServiceView
from rollback.resources.aws.primary_revision import primary_revision
from rollback.resources.aws.service_shape import shape_of

_EVENTS_KEPT = 10

EcsResponse = Mapping[str, Any]


def require_supported_service(answer: EcsResponse, name: str) -> EcsResponse:
    """The one service of a DescribeServices answer.

    Raises:
        UnsupportedService: gone, not ACTIVE, a daemon, or deployed by something else than ECS's rolling update.
    """
    service: EcsResponse | None = next(iter(answer["services"]), None)
    if service is None:
        reasons = ", ".join(str(f.get("reason")) for f in answer.get("failures", ())) or "no answer"
        raise UnsupportedService(f"ECS has no service {name} ({reasons}); check cluster and service in the settings")
    if service["status"] != "ACTIVE":
        raise UnsupportedService(f"service {name} is {service['status']}, not ACTIVE: nothing to roll back")
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        raise UnsupportedService(f"service {name} is deployed by {controller}, not by ECS: roll back there")
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy != "ROLLING":
        raise UnsupportedService(f"service {name} is deployed {strategy}, not ROLLING: roll back with ECS itself")
    if service.get("schedulingStrategy") == "DAEMON":
        raise UnsupportedService(
            f"service {name} has the scheduling strategy DAEMON, which has no desired count: only REPLICA is supported"
        )
    return service


def newest_of(deployments: Sequence[EcsResponse]) -> EcsResponse | None:
    """The newest of ListServiceDeployments, whose order is not promised."""
    return max(deployments, key=lambda d: d["createdAt"], default=None)


def revision_arns(service: EcsResponse, newest: EcsResponse | None) -> tuple[str, ...]:
    """The revisions whose definitions and images decide: running, target, source and where ECS rolls back to."""
    summaries: list[EcsResponse] = list(service.get("currentServiceRevisions", ()))
    arns = [s["arn"] for s in summaries if "arn" in s]
    if newest is not None:
        arns.append(newest["targetServiceRevision"]["arn"])
        arns += [s["arn"] for s in newest.get("sourceServiceRevisions", ())]
        arns += [arn for arn in (_rollback_arn(newest),) if arn is not None]
    return tuple(dict.fromkeys(arns))


def service_view(service: EcsResponse, newest: EcsResponse | None, revisions: Iterable[EcsResponse]) -> ServiceView:
    """The whole.

    Args:
        service: one of DescribeServices.
        newest: one of DescribeServiceDeployments.
        revisions: of DescribeServiceRevisions.
    """
    known = {r["serviceRevisionArn"]: r for r in revisions}
    current = {
        s["arn"]: int(s.get("runningTaskCount", 0)) for s in service.get("currentServiceRevisions", ()) if "arn" in s
    }
    latest = _service_deployment(newest, known) if newest is not None else None
    definitions = {arn: str(r["taskDefinition"]) for arn, r in known.items()}
    return ServiceView(
        arn=service["serviceArn"],
        desired_count=service["desiredCount"],
        running_count=service["runningCount"],
        pending_count=service["pendingCount"],
        deployments=assign_revisions([_deployment(d) for d in service["deployments"]], latest, current, definitions),
        newest=latest,
        deployment_configuration=dict(service.get("deploymentConfiguration", {})),
        target_groups=tuple(b["targetGroupArn"] for b in service.get("loadBalancers", ()) if "targetGroupArn" in b),
        shape=shape_of(service),
        revisions={
            arn: ServiceRevision(definition_arn=r["taskDefinition"], images=resolved_images(r))
            for arn, r in known.items()
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
    """The deployments with their revisions: PRIMARY's, and of another one where a single revision has its definition.

    Args:
        definitions: revision ARN → task definition ARN.
    """
    primary = primary_revision(deployments, newest, current, definitions)
    found = []
    for one in deployments:
        candidates = [arn for arn, definition in definitions.items() if definition == one.definition_arn]
        only = candidates[0] if len(candidates) == 1 else None
        found.append(one.model_copy(update={"revision_arn": primary if one.is_primary else only}))
    return tuple(found)


def resolved_images(revision: EcsResponse) -> dict[str, str]:
    """Container → image by digest; containers whose digest ECS does not tell are left out."""
    return {
        c["containerName"]: f"{_repository(c['image'])}@{c['imageDigest']}"
        for c in revision.get("containerImages", ())
        if c.get("imageDigest")
    }


def images_of_tasks(tasks: Iterable[EcsResponse]) -> dict[str, str]:
    """Container → image by digest of DescribeTasks' tasks; containers whose tasks have different ones are left out."""
    told: dict[str, set[str]] = {}
    for task in tasks:
        for container in task.get("containers", ()):
            if container.get("imageDigest") and container.get("image"):
                image = f"{_repository(container['image'])}@{container['imageDigest']}"
                told.setdefault(container["name"], set()).add(image)
    return {name: images.pop() for name, images in told.items() if len(images) == 1}


def _repository(image: str) -> str:
    """Without tag and digest; a colon before the last slash belongs to the registry's port."""
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
    if target is None:  # ECS has forgotten the revision: nothing can be decided by it
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
    """What a stop would go back to: what ECS says, once it rolls back; before that, the source if there is only one.

    With several sources (a deployment that superseded another) ECS returns to the last that completed, which the
    answer doesn't tell: None, so that the service is updated instead of its deployment stopped. Several revisions of
    one definition may have different images: then the revision is not known either.
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
