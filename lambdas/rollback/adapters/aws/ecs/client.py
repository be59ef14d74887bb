"""ECS services: description, task definitions, updates."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from botocore.exceptions import ClientError

from rollback.adapters.aws.ecs.definitions import describe_definition, register_definition
from rollback.adapters.aws.ecs.parse import (
    EcsResponse,
    images_of_tasks,
    newest_of,
    require_supported_service,
    revision_arns,
    service_task,
    service_view,
)
from rollback.adapters.aws.ecs.service_deployments import list_recent_deployments
from rollback.adapters.aws.errors import aws_call, code_of
from rollback.adapters.aws.paging import batches
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback.names import RELEASE_TAG
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.ecs_task import ServiceTask

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import UpdateServiceRequestTypeDef

_DESIRED: tuple[Literal["RUNNING", "STOPPED"], ...] = ("RUNNING", "STOPPED")
_TASKS_A_CALL = 100
_REVISIONS_A_CALL = 20  # DescribeServiceRevisions takes no more
# The deployment ended, or can't be stopped now: the next description shows which. A missing permission is refused for
# good.
_NOT_STOPPABLE_NOW = frozenset({"ClientException", "InvalidParameterException", "ServiceDeploymentNotFoundException"})


class EcsServices:
    """Adapter. `reader` may retry; `changer` must not, since a second UpdateService does harm."""

    def __init__(self, reader: "ECSClient", changer: "ECSClient") -> None:
        self._reader = reader
        self._changer = changer

    def describe(self, service: ServiceSettings) -> ServiceView:
        """Call DescribeServices, then describe the newest service deployment and the service revisions."""
        name = f"{service.cluster}/{service.ecs_service}"
        try:
            with aws_call("DescribeServices", name):
                answer = self._reader.describe_services(cluster=service.cluster, services=[service.ecs_service])
        except ExternalServiceError as error:
            if isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == "ClusterNotFoundException":
                raise UnsupportedService(f"there is no cluster {service.cluster}; check the settings") from error
            raise
        description = require_supported_service(cast(EcsResponse, answer), name)
        newest = self._newest_deployment(service, description)
        return service_view(description, newest, self._revisions(revision_arns(description, newest), name))

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        """Call DescribeTaskDefinition; ECS reports a missing definition as a ClientException."""
        with aws_call("DescribeTaskDefinition", arn_or_family):
            try:
                return describe_definition(self._reader, arn_or_family)
            except ClientError as error:
                if _is_unknown_definition(error):
                    return None
                raise

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Call RegisterTaskDefinition with the release's tags and the tag of its fingerprint."""
        with aws_call("RegisterTaskDefinition", family):
            return register_definition(self._changer, definition, family, {**(tags or {}), RELEASE_TAG: release})

    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        """Call ListTasks and DescribeTasks; `startedBy` of a task is its deployment's id (ECS API reference, Task)."""
        tasks = [
            task
            for task in self._tasks(service, "RUNNING")
            if task["taskDefinitionArn"] == definition_arn and deployment_id in (None, task.get("startedBy"))
        ]
        return images_of_tasks(tasks)

    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None:
        """Call UpdateService, which keeps every member that a request leaves out.

        That holds for members of `deployment_configuration` at any depth (measured on a live account, go-to-k/cdkd
        issue 1861).
        """
        members = {
            "taskDefinition": definition_arn,
            "desiredCount": desired_count,
            "deploymentConfiguration": deployment_configuration,
            "forceNewDeployment": force_new_deployment or None,
        }
        changes = {name: value for name, value in members.items() if value is not None}
        request = cast(
            "UpdateServiceRequestTypeDef", {"cluster": service.cluster, "service": service.ecs_service, **changes}
        )
        with aws_call("UpdateService", f"{service.cluster}/{service.ecs_service}"):
            self._changer.update_service(**request)

    def unstopped_tasks(self, service: ServiceSettings) -> int:
        """List tasks of both desired statuses: a task with the desired status STOPPED may drain for minutes."""
        tasks = [task for desired_status in _DESIRED for task in self._tasks(service, desired_status)]
        return sum(1 for task in tasks if task.get("lastStatus") != "STOPPED")

    def service_tasks(self, service: ServiceSettings) -> tuple[ServiceTask, ...]:
        """List tasks of both desired statuses: ECS starts no stopped task again, and lists the task for an hour."""
        tasks = [task for desired_status in _DESIRED for task in self._tasks(service, desired_status)]
        return tuple(service_task(task) for task in {task["taskArn"]: task for task in tasks}.values())

    def _tasks(self, service: ServiceSettings, desired_status: Literal["RUNNING", "STOPPED"]) -> list[EcsResponse]:
        """Describe the service's tasks of all deployments, by the status that ECS wants for them."""
        name, tasks = f"{service.cluster}/{service.ecs_service}", list[Any]()
        with aws_call("ListTasks", name):
            pages = self._reader.get_paginator("list_tasks").paginate(
                cluster=service.cluster, serviceName=service.ecs_service, desiredStatus=desired_status
            )
            arns = [arn for page in pages for arn in page["taskArns"]]
        for batch in batches(arns, _TASKS_A_CALL):
            with aws_call("DescribeTasks", name):
                tasks += self._reader.describe_tasks(cluster=service.cluster, tasks=batch)["tasks"]
        return tasks

    def has_container_insights(self, cluster: str) -> bool:
        """Call DescribeClusters and read the setting `containerInsights`."""
        with aws_call("DescribeClusters", cluster):
            clusters = self._reader.describe_clusters(clusters=[cluster], include=["SETTINGS"])["clusters"]
        settings = clusters[0].get("settings", []) if clusters else []
        return any(s.get("name") == "containerInsights" and s.get("value") != "disabled" for s in settings)

    def stop_deployment(self, service_deployment_arn: str) -> None:
        """Call StopServiceDeployment with the stop type ROLLBACK."""
        with aws_call("StopServiceDeployment", service_deployment_arn, _NOT_STOPPABLE_NOW):
            self._changer.stop_service_deployment(serviceDeploymentArn=service_deployment_arn, stopType="ROLLBACK")

    def _newest_deployment(self, service: ServiceSettings, description: EcsResponse) -> EcsResponse | None:
        newest = newest_of(list_recent_deployments(self._reader, service, description))
        if newest is None:
            return None
        arn = newest["serviceDeploymentArn"]
        with aws_call("DescribeServiceDeployments", arn):
            answer = self._reader.describe_service_deployments(serviceDeploymentArns=[arn])
        return cast("EcsResponse | None", next(iter(answer["serviceDeployments"]), None))

    def _revisions(self, arns: tuple[str, ...], name: str) -> list[EcsResponse]:
        revisions: list[Any] = []
        for batch in batches(arns, _REVISIONS_A_CALL):
            with aws_call("DescribeServiceRevisions", name):
                answer = self._reader.describe_service_revisions(serviceRevisionArns=batch)
            revisions += answer["serviceRevisions"]
        return revisions


def _is_unknown_definition(error: ClientError) -> bool:
    message = str(error)
    is_gone = "Unable to describe task definition" in message or "does not exist" in message
    return code_of(error) == "ClientException" and is_gone
