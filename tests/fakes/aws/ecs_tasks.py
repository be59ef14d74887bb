"""One-off tasks with state: a command has the effect that the test sets, once, when its task starts."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from fakes.aws.ecs_services import EcsServices, FakeServices
from fakes.aws.request_models import check_request, refuse

from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.aws.ecs_task import TaskView
from rollback.resources.database.errors import OutcomeUnknown, RequestRefused

NOT_FOUND = 127
_STARTED_BY = re.compile(r"[a-zA-Z0-9/_-]{1,128}")  # ECS API reference, RunTask
_TOKEN = re.compile(r"[!-~]{1,64}")  # the same: up to 64 of the characters 33 to 126


@dataclass
class FakeTask:
    arn: str
    cluster: str
    container: str
    definition_arn: str
    command: tuple[str, ...]
    started_by: str
    looked: int = 0
    started: bool = False
    stopped: bool = False
    exit_code: int | None = None
    reason: str = ""
    logs: list[str] = field(default_factory=list)


Effect = Callable[[list[str]], int | None]
"""Run of a command: takes its log and returns its exit code; None: the command runs until it is stopped."""


class FakeTasks:
    """The port `Tasks` in the clusters of some services. A task starts at the second look, and has ended at the third.

    `commands`: by the words of a command, joined by spaces; one that is not among them ends as in a shell.
    `unstartable`: definitions whose image is gone.
    """

    def __init__(self, services: EcsServices) -> None:
        self.commands: dict[str, Effect] = {}
        self.unstartable: set[str] = set()
        self.tasks: list[FakeTask] = []
        self._services = services
        self._tokens: dict[tuple[str, str], tuple[tuple[object, ...], FakeTask]] = {}
        self._lost = 0
        self._refusing: list[ExternalServiceError] = []

    def lose_next(self) -> None:
        """Start the next task and lose the answer."""
        self._lost += 1

    def refuse_next(self, error: ExternalServiceError) -> None:
        """Refuse to start the next task."""
        self._refusing.append(error)

    def run(
        self, service: ServiceSettings, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
    ) -> str:
        if self._refusing:
            raise self._refusing.pop(0)
        self._cluster("DescribeServices", service)
        running = next((one for one in self._services.each() if one.is_named_by(service) and one.is_active), None)
        if running is None:
            raise RequestRefused(f"no task was started: no ACTIVE service {service.ecs_service} has its network")
        asked = (service.container, definition_arn, command, started_by)
        if (service.cluster, token) in self._tokens:
            earlier, task = self._tokens[service.cluster, token]
            if earlier != asked:
                raise OutcomeUnknown("RunTask failed: ConflictException: the clientToken is in use")
            return task.arn
        try:
            _refuse(running, *asked, token)
        except CallRefused as error:
            told = f"{error}; no task was started"
            raise RequestRefused(told, action=error.action, resource=error.resource, kind=error.kind) from error
        arn = f"arn:aws:ecs:eu-west-1:123456789012:task/{service.cluster}/{len(self.tasks) + 1:032x}"
        task = FakeTask(arn, service.cluster, *asked)
        self.tasks.append(task)
        self._tokens[service.cluster, token] = asked, task
        if self._lost:
            self._lost -= 1
            raise OutcomeUnknown("RunTask got no answer")
        return arn

    def started_by(self, service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
        self._cluster("ListTasks", service)
        mine = (task for task in self.tasks if task.started_by == started_by and task.cluster == service.cluster)
        return tuple(_view(task, service) for task in mine)

    def describe(self, service: ServiceSettings, arn: str) -> TaskView | None:
        task = self._task("DescribeTasks", service, arn)
        if task is None:
            return None
        task.looked += 1
        if not task.stopped:
            self._advance(task)
        return _view(task, service)

    def logs(self, service: ServiceSettings, arn: str, lines: int) -> tuple[str, ...]:
        task = self._task("DescribeTasks", service, arn)
        if task is None or task.container != service.container:
            return ()
        stream = f"tasks/{task.container}/{arn.rpartition('/')[2]}"
        check_request("logs", "GetLogEvents", stream, logStreamName=stream, limit=lines)
        return tuple(task.logs[-lines:])

    def stop(self, service: ServiceSettings, arn: str, reason: str) -> None:
        task = self._task("StopTask", service, arn)
        if task is None:
            refuse("StopTask", arn, "InvalidParameterException", "The referenced task was not found.")
        if not task.stopped:
            task.stopped, task.reason = True, reason
            task.exit_code = 143 if task.started else None

    def _cluster(self, operation: str, service: ServiceSettings) -> None:
        if all(one.cluster != service.cluster for one in self._services.each()):
            refuse(operation, service.cluster, "ClusterNotFoundException", "Cluster not found.")

    def _task(self, operation: str, service: ServiceSettings, arn: str) -> FakeTask | None:
        self._cluster(operation, service)
        return next((task for task in self.tasks if (task.arn, task.cluster) == (arn, service.cluster)), None)

    def _advance(self, task: FakeTask) -> None:
        if task.looked == 2 and task.definition_arn in self.unstartable:
            task.stopped, task.reason = True, "CannotPullContainerError: the image is gone"
        elif task.looked == 2:
            task.started = True
            line = " ".join(task.command)
            effect = self.commands.get(line)
            task.exit_code = effect(task.logs) if effect is not None else NOT_FOUND
        elif task.looked > 2 and task.exit_code is not None:
            task.stopped, task.reason = True, "Essential container in task exited"


def _refuse(
    running: FakeServices, container: str, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
) -> None:
    """Return the reason for which ECS does not start a task."""
    overrides = {"containerOverrides": [{"name": container, "command": list(command)}]}
    check_request("ecs", "RunTask", definition_arn, taskDefinition=definition_arn, overrides=overrides)
    wrong = ("RunTask", definition_arn, "InvalidParameterException")
    if not _STARTED_BY.fullmatch(started_by):
        refuse(*wrong, "startedBy must be up to 128 letters, numbers, hyphens, forward slashes, and underscores.")
    if not _TOKEN.fullmatch(token):
        refuse(*wrong, "clientToken must be 1 to 64 characters in the range of 33-126.")
    definition = running.definition(definition_arn)
    if definition is None or definition["status"] != "ACTIVE":
        why = "not found" if definition is None else "inactive"
        refuse("RunTask", definition_arn, "ClientException", f"TaskDefinition is {why}")
    if all(one["name"] != container for one in definition["containerDefinitions"]):
        refuse(*wrong, f"Override for container named {container} is not a container in the TaskDefinition.")


def _view(task: FakeTask, service: ServiceSettings) -> TaskView:
    """Return the task as the adapter does: by the container of the settings."""
    is_its_container = task.container == service.container
    return TaskView(
        arn=task.arn,
        command=task.command if is_its_container else (),
        is_stopped=task.stopped,
        started=task.started,
        exit_code=task.exit_code if task.stopped and is_its_container else None,
        reason=task.reason,
    )
