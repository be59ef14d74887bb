"""One-off ECS tasks that run a command of a release.

The client token makes RunTask idempotent within its cluster (Amazon ECS API reference, "Ensuring idempotency"). ECS
describes a stopped task for an hour. The awslogs driver names a stream `prefix/container/task id` (developer guide).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.adapters.aws.paging import batches, pages_of
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.resources.aws.ecs_task import TaskView
from rollback.resources.database.errors import OutcomeUnknown, RequestRefused

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import RunTaskRequestTypeDef, TaskTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

_FROM_SERVICE = (
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
)  # the last two have values for tasks on EC2 instances only
_TASKS_A_CALL = 100


class EcsTasks:
    """Adapter. `reader` may retry; `changer` must not."""

    def __init__(self, reader: "ECSClient", changer: "ECSClient", logs: "CloudWatchLogsClient") -> None:
        self._reader = reader
        self._changer = changer
        self._logs = logs

    def run(
        self, service: ServiceSettings, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
    ) -> str:
        """Call RunTask with the launch type, network, platform and placement of the service's own tasks."""
        override = {"name": service.container, "command": list(command)}
        request = {
            **self._launch_parameters(service),
            "cluster": service.cluster,
            "taskDefinition": definition_arn,
            "overrides": {"containerOverrides": [override]},
            "startedBy": started_by,
            "clientToken": token,
        }
        try:
            with aws_call("RunTask", definition_arn):
                answer = self._changer.run_task(**cast("RunTaskRequestTypeDef", request))
        except Throttled:
            raise
        except CallRefused as error:
            text = f"{error}; no task was started"
            raise RequestRefused(text, action=error.action, resource=error.resource, kind=error.kind) from error
        except ExternalServiceError as error:  # a conflict too: the token is in use, so its task is looked up
            raise OutcomeUnknown(str(error)) from error
        if not answer["tasks"]:
            reasons = "; ".join(f"{f.get('reason', '?')} {f.get('detail', '')}".strip() for f in answer["failures"])
            raise Throttled(f"RunTask on {definition_arn} started nothing: {reasons}; send it again later")
        return answer["tasks"][0]["taskArn"]

    def started_by(self, service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
        """Call ListTasks twice: `startedBy` must be the only filter and finds running tasks only (API reference).

        The stopped tasks of the cluster are described and then filtered.
        """
        running = self._list_tasks(service, started_by, startedBy=started_by)
        stopped = self._list_tasks(service, started_by, desiredStatus="STOPPED")
        described = self._describe_tasks(service, list(dict.fromkeys((*running, *stopped))))
        return tuple(_view(task, service) for task in described if task.get("startedBy") == started_by)

    def _list_tasks(self, service: ServiceSettings, started_by: str, **filters: Any) -> list[str]:
        with aws_call("ListTasks", started_by):
            pages = self._reader.get_paginator("list_tasks").paginate(cluster=service.cluster, **filters)
            return [arn for page in pages for arn in page["taskArns"]]

    def describe(self, service: ServiceSettings, arn: str) -> TaskView | None:
        """Call DescribeTasks."""
        return next((_view(task, service) for task in self._describe_tasks(service, [arn])), None)

    def logs(self, service: ServiceSettings, arn: str, lines: int) -> tuple[str, ...]:
        """Call GetLogEvents for the log stream that the awslogs options of the task's definition name."""
        task = next(self._describe_tasks(service, [arn]), None)
        place = self._log_stream_of(service, task["taskDefinitionArn"], arn) if task is not None else None
        if place is None:
            return ()
        with aws_call("GetLogEvents", "/".join(place)):
            try:
                return self._last_lines(place, lines)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":  # the task has written nothing yet
                    return ()
                raise

    def _last_lines(self, place: tuple[str, str], lines: int) -> tuple[str, ...]:
        """Read pages backwards; a page may be short or empty, and a repeated token is the end (GetLogEvents)."""
        last: list[str] = []
        pages = pages_of(
            self._logs.get_log_events,
            "nextToken",
            "nextBackwardToken",
            logGroupName=place[0],
            logStreamName=place[1],
            limit=lines,
            startFromHead=False,
        )
        for page in pages:
            last = [*(str(event.get("message", "")) for event in page["events"]), *last]
            if len(last) >= lines:
                break
        return tuple(last[-lines:])

    def stop(self, service: ServiceSettings, arn: str, reason: str) -> None:
        """Call StopTask: ECS sends SIGTERM, and SIGKILL after the definition's stop timeout."""
        with aws_call("StopTask", arn):
            self._changer.stop_task(cluster=service.cluster, task=arn, reason=reason)

    def _launch_parameters(self, service: ServiceSettings) -> dict[str, Any]:
        with aws_call("DescribeServices", service.ecs_service):
            answer = self._reader.describe_services(cluster=service.cluster, services=[service.ecs_service])
        description = next(
            (dict(candidate) for candidate in answer["services"] if candidate.get("status") == "ACTIVE"), None
        )
        if description is None:
            raise RequestRefused(
                f"no task was started: no ACTIVE service {service.ecs_service} has its network; check the settings"
            )
        return {name: description[name] for name in _FROM_SERVICE if description.get(name)}

    def _describe_tasks(self, service: ServiceSettings, arns: list[str]) -> "Iterator[TaskTypeDef]":
        for batch in batches(arns, _TASKS_A_CALL):
            with aws_call("DescribeTasks", service.cluster):
                answer = self._reader.describe_tasks(cluster=service.cluster, tasks=batch)
            yield from answer["tasks"]

    def _log_stream_of(self, service: ServiceSettings, definition_arn: str, arn: str) -> tuple[str, str] | None:
        """Return log group and stream of a task, or None if its container does not use awslogs."""
        with aws_call("DescribeTaskDefinition", definition_arn):
            answer = self._reader.describe_task_definition(taskDefinition=definition_arn)
        for container in answer["taskDefinition"].get("containerDefinitions", []):
            configuration = container.get("logConfiguration", {})
            options = configuration.get("options", {})
            if container.get("name") == service.container and configuration.get("logDriver") == "awslogs":
                if "awslogs-group" not in options or "awslogs-stream-prefix" not in options:
                    return None
                task_id = arn.rpartition("/")[2]
                return options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{service.container}/{task_id}"
        return None


def _view(task: "TaskTypeDef", service: ServiceSettings) -> TaskView:
    container = next((c for c in task.get("containers", []) if c.get("name") == service.container), None)
    overrides = task.get("overrides", {}).get("containerOverrides", [])
    command = next((o.get("command", []) for o in overrides if o.get("name") == service.container), [])
    reasons = (task.get("stoppedReason", ""), container.get("reason", "") if container is not None else "")
    return TaskView(
        arn=task.get("taskArn", ""),
        command=tuple(command),
        is_stopped=task.get("lastStatus") == "STOPPED",
        started=task.get("startedAt") is not None,
        exit_code=container.get("exitCode") if container is not None else None,
        reason="; ".join(reason for reason in reasons if reason),
    )
