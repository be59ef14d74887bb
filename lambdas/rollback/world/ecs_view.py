"""A `ServiceView` out of what ECS's Describe calls answer; no calls here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollback.model.errors import UnsupportedService
from rollback.model.service_view import Deployment, ServiceDeployment, ServiceView

_EVENTS_KEPT = 10

Answer = Mapping[str, Any]


def supported_service(answer: Answer, name: str) -> Answer:
    """The one service of a DescribeServices answer.

    Raises:
        UnsupportedService: gone, not ACTIVE, or deployed by something else than ECS's rolling update.
    """
    service: Answer | None = next(iter(answer["services"]), None)
    if service is None:
        reasons = ", ".join(str(f.get("reason")) for f in answer.get("failures", ())) or "no answer"
        raise UnsupportedService(f"ECS has no service {name} ({reasons}); check cluster and service in the settings")
    if service["status"] != "ACTIVE":
        raise UnsupportedService(f"service {name} is {service['status']}, not ACTIVE: nothing to roll back")
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        raise UnsupportedService(f"service {name} is deployed by {controller}, not by ECS: roll back there")
    if service.get("schedulingStrategy", "REPLICA") == "DAEMON":
        raise UnsupportedService(f"service {name} is a DAEMON, without a desired count: roll back with ECS itself")
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy != "ROLLING":
        raise UnsupportedService(f"service {name} is deployed {strategy}, not ROLLING: roll back with ECS itself")
    return service


def newest_of(deployments: Sequence[Answer]) -> Answer | None:
    """The newest of ListServiceDeployments, whose order is not promised."""
    return max(deployments, key=lambda d: d["createdAt"], default=None)


def revision_arns(service: Answer, newest: Answer | None) -> tuple[str, ...]:
    """The revisions whose definitions and images decide: running, target, source and where ECS rolls back to."""
    summaries: list[Answer] = list(service.get("currentServiceRevisions", ()))
    arns = [s["arn"] for s in summaries if "arn" in s]
    if newest is not None:
        arns.append(newest["targetServiceRevision"]["arn"])
        arns += [s["arn"] for s in newest.get("sourceServiceRevisions", ())]
        arns += [arn for arn in (_rollback_arn(newest),) if arn is not None]
    return tuple(dict.fromkeys(arns))


def service_view(service: Answer, newest: Answer | None, revisions: Iterable[Answer]) -> ServiceView:
    """The whole.

    Args:
        service: one of DescribeServices.
        newest: one of DescribeServiceDeployments.
        revisions: of DescribeServiceRevisions; the later of two with one definition tells its images.
    """
    known = {r["serviceRevisionArn"]: r for r in sorted(revisions, key=lambda r: r["createdAt"])}
    return ServiceView(
        arn=service["serviceArn"],
        desired_count=service["desiredCount"],
        running_count=service["runningCount"],
        pending_count=service["pendingCount"],
        deployments=tuple(_deployment(d) for d in service["deployments"]),
        newest=_service_deployment(newest, known) if newest is not None else None,
        deployment_configuration=dict(service.get("deploymentConfiguration", {})),
        target_groups=tuple(b["targetGroupArn"] for b in service.get("loadBalancers", ()) if "targetGroupArn" in b),
        images={r["taskDefinition"]: images for r in known.values() if (images := resolved_images(r))},
        last_events=tuple(e["message"] for e in service.get("events", ())[:_EVENTS_KEPT]),
    )


def resolved_images(revision: Answer) -> dict[str, str]:
    """Container → image by digest; containers whose digest ECS does not tell are left out."""
    return {
        c["containerName"]: f"{_repository(c['image'])}@{c['imageDigest']}"
        for c in revision.get("containerImages", ())
        if c.get("imageDigest")
    }


def _repository(image: str) -> str:
    """Without tag and digest; a colon before the last slash belongs to the registry's port."""
    without_digest = image.partition("@")[0]
    head, slash, tail = without_digest.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def _deployment(answer: Answer) -> Deployment:
    return Deployment(
        id=answer["id"],
        is_primary=answer["status"] == "PRIMARY",
        definition_arn=answer["taskDefinition"],
        rollout_state=answer.get("rolloutState", ""),
        running_count=answer["runningCount"],
        created_at=answer["createdAt"],
    )


def _service_deployment(answer: Answer, revisions: Mapping[str, Answer]) -> ServiceDeployment | None:
    target = revisions.get(answer["targetServiceRevision"]["arn"])
    if target is None:  # ECS has forgotten the revision: nothing can be decided by it
        return None
    return ServiceDeployment(
        arn=answer["serviceDeploymentArn"],
        status=answer["status"],
        target_definition_arn=target["taskDefinition"],
        source_definition_arn=_source(answer, revisions),
        created_at=answer["createdAt"],
    )


def _source(answer: Answer, revisions: Mapping[str, Answer]) -> str | None:
    """What a stop would go back to: what ECS says, once it rolls back; before that, the source if there is only one.

    With several sources (a deployment that superseded another) ECS returns to the last that completed, which the
    answer doesn't tell: None, so that the service is updated instead of its deployment stopped.
    """
    going_to = _rollback_arn(answer)
    arns = [going_to] if going_to else [s["arn"] for s in answer.get("sourceServiceRevisions", ())]
    definitions = {revisions[arn]["taskDefinition"] if arn in revisions else None for arn in arns}
    return definitions.pop() if len(definitions) == 1 else None


def _rollback_arn(answer: Answer) -> str | None:
    arn: str | None = (answer.get("rollback") or {}).get("serviceRevisionArn")
    return arn
