"""Shim of ECS's service deployments and service revisions, which MiniStack lacks.

Each deployment in MiniStack's record has one of both, under the same id. The images of a revision are resolved once,
when the shim first sees it, from MiniStack's ECR; an image of another registry has no digest. StopServiceDeployment
always fails: a deployment of MiniStack completes within a second.
"""

import threading
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import ecr, ecs

Record = dict[str, Any]
_STATUS = {"COMPLETED": "SUCCESSFUL", "IN_PROGRESS": "IN_PROGRESS", "FAILED": "ROLLBACK_SUCCESSFUL"}


@dataclass(frozen=True)
class Revision:
    """Deployment of a service, with its source revision and its images."""

    service: Record
    deployment: Record  # MiniStack's own record, which it keeps updating
    source: str | None
    images: tuple[Record, ...]

    @property
    def arn(self) -> str:
        """The service revision's ARN."""
        return self._arn("service-revision")

    @property
    def deployment_arn(self) -> str:
        """The service deployment's ARN."""
        return self._arn("service-deployment")

    def _arn(self, kind: str) -> str:
        service = str(self.service["serviceArn"]).replace(":service/", f":{kind}/")
        return f"{service}/{str(self.deployment['id']).rpartition('/')[2]}"

    def described(self) -> Record:
        """The service revision as ECS describes it."""
        return {
            "serviceRevisionArn": self.arn,
            "serviceArn": self.service["serviceArn"],
            "clusterArn": self.service["clusterArn"],
            "taskDefinition": self.deployment["taskDefinition"],
            "launchType": "FARGATE",
            "loadBalancers": self.service["loadBalancers"],
            "networkConfiguration": self.service["networkConfiguration"],
            "containerImages": list(self.images),
            "createdAt": self.deployment["createdAt"],
        }

    def as_deployment(self) -> Record:
        """The service deployment as ECS describes it."""
        return {
            "serviceDeploymentArn": self.deployment_arn,
            "serviceArn": self.service["serviceArn"],
            "clusterArn": self.service["clusterArn"],
            "createdAt": self.deployment["createdAt"],
            "startedAt": self.deployment["createdAt"],
            "updatedAt": self.deployment["updatedAt"],
            "status": _STATUS[self.deployment["rolloutState"]],
            "targetServiceRevision": {"arn": self.arn, **self._counts()},
            "sourceServiceRevisions": [{"arn": self.source}] if self.source else [],
            "deploymentConfiguration": self.service["deploymentConfiguration"],
        }

    def summary(self) -> Record:
        """The current service revision as ECS describes it within the service."""
        return {"arn": self.arn, **self._counts()}

    def brief(self) -> Record:
        """The service deployment as ECS lists it."""
        members = ("serviceDeploymentArn", "serviceArn", "clusterArn", "createdAt", "startedAt", "status")
        described = self.as_deployment()
        return {**{name: described[name] for name in members}, "targetServiceRevisionArn": self.arn}

    def _counts(self) -> Record:
        counts = {"requested": "desiredCount", "running": "runningCount", "pending": "pendingCount"}
        return {f"{name}TaskCount": self.deployment[count] for name, count in counts.items()}


_known: dict[str, list[Revision]] = {}
_lock = threading.Lock()


def remember(service: Record) -> list[Revision]:
    """Record a service's deployments, and return the new revisions, the oldest first."""
    with _lock:
        revisions_of_service = _known.setdefault(service["serviceArn"], [])
        ids = {revision.deployment["id"] for revision in revisions_of_service}
        new = []
        for deployment in reversed(service["deployments"]):  # MiniStack puts the newest first
            if deployment["id"] not in ids:
                source = revisions_of_service[-1].arn if revisions_of_service else None
                new.append(Revision(service, deployment, source, _images(deployment["taskDefinition"])))
                revisions_of_service.append(new[-1])
        current = {deployment["id"] for deployment in service["deployments"]}
        service["currentServiceDeployment"] = revisions_of_service[-1].deployment_arn
        service["currentServiceRevisions"] = [
            r.summary() for r in revisions_of_service if r.deployment["id"] in current
        ]
    return new


def remember_all() -> None:
    """Record the deployments of all services: CloudFormation makes some without a call of ECS."""
    for service in list(ecs._services.values()):
        remember(service)


def _images(definition: str) -> tuple[Record, ...]:
    described = ecs._task_defs.get(ecs._resolve_td_key(definition)) or {}
    return tuple(_image(container) for container in described.get("containerDefinitions", ()))


def _image(container: Record) -> Record:
    image = str(container["image"])
    name, _, digest = image.partition("@")
    repository, _, tag = name.partition("/")[2].partition(":")
    pushed = {"imageDigest": digest} if digest else ecr._find_image(repository, {"imageTag": tag or "latest"})
    resolved = {"imageDigest": pushed["imageDigest"]} if pushed else {}
    return {"containerName": container["name"], "image": image, **resolved}


def _list(request: Record) -> Any:
    remember_all()
    name = str(request["service"]).rpartition("/")[2]
    revisions = [
        r for arn, revisions_of_service in _known.items() if arn.endswith(f"/{name}") for r in revisions_of_service
    ]
    return json_response({"serviceDeployments": [r.brief() for r in reversed(revisions)]})


def _described(request: Record) -> Any:
    requested_arns = request["serviceDeploymentArns"]
    revisions = [
        r.as_deployment()
        for revisions_of_service in _known.values()
        for r in revisions_of_service
        if r.deployment_arn in requested_arns
    ]
    return json_response({"serviceDeployments": revisions, "failures": []})


def _revisions(request: Record) -> Any:
    requested_arns = request["serviceRevisionArns"]
    revisions = [
        r.described()
        for revisions_of_service in _known.values()
        for r in revisions_of_service
        if r.arn in requested_arns
    ]
    return json_response({"serviceRevisions": revisions, "failures": []})


def _stop(request: Record) -> Any:
    return error_response_json("ClientException", "the service deployment has ended", 400)


def install() -> None:
    """Answer the four calls, and add `currentServiceRevisions` to the answer of DescribeServices."""
    plain = ecs._ACTION_MAP["DescribeServices"]

    def describe(request: Record) -> Any:
        remember_all()
        return plain(request)

    ecs._ACTION_MAP |= {
        "DescribeServices": describe,
        "ListServiceDeployments": _list,
        "DescribeServiceDeployments": _described,
        "DescribeServiceRevisions": _revisions,
        "StopServiceDeployment": _stop,
    }
