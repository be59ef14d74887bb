"""One-off tasks that keep state: a command does what the test says, once, when its task starts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rollback.model.database_errors import OutcomeUnknown, RequestRefused
from rollback.model.errors import OutsideFailure
from rollback.model.settings import ServiceSettings
from rollback.model.task_view import TaskView

NOT_FOUND = 127


@dataclass
class FakeTask:
    arn: str
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
"""What a command does, given its log to write to; its exit code. None: it goes on until it is stopped."""


class FakeTasks:
    """The port `Tasks`. A task starts at the second look at it, and has ended at the third.

    `commands`: by the words of a command, joined by spaces; one that is not among them ends as in a shell. `inactive`:
    definitions that ECS refuses; `unstartable`: those whose image is gone.
    """

    def __init__(self) -> None:
        self.commands: dict[str, Effect] = {}
        self.inactive: set[str] = set()
        self.unstartable: set[str] = set()
        self.tasks: list[FakeTask] = []
        self._tokens: dict[str, tuple[tuple[object, ...], FakeTask]] = {}
        self._lost = 0
        self._refusing: list[OutsideFailure] = []

    def lose_next(self) -> None:
        """The next task is started, and the answer lost."""
        self._lost += 1

    def refuse_next(self, error: OutsideFailure) -> None:
        """The next task is not started."""
        self._refusing.append(error)

    def run(
        self, service: ServiceSettings, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
    ) -> str:
        if self._refusing:
            raise self._refusing.pop(0)
        asked = (service.cluster, definition_arn, command, started_by)
        if token in self._tokens:
            earlier, task = self._tokens[token]
            if earlier != asked:
                raise OutcomeUnknown("RunTask failed: ConflictException: the clientToken is in use")
            return task.arn
        if definition_arn in self.inactive:
            raise RequestRefused("RunTask failed: ClientException: TaskDefinition is inactive; no task was started")
        arn = f"arn:aws:ecs:eu-west-1:123456789012:task/{service.cluster}/{len(self.tasks) + 1:032x}"
        task = FakeTask(arn, definition_arn, command, started_by)
        self.tasks.append(task)
        self._tokens[token] = asked, task
        if self._lost:
            self._lost -= 1
            raise OutcomeUnknown("RunTask got no answer")
        return arn

    def started_by(self, service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
        return tuple(_view(task) for task in self.tasks if task.started_by == started_by)

    def look(self, service: ServiceSettings, arn: str) -> TaskView | None:
        task = self._task(arn)
        if task is None:
            return None
        task.looked += 1
        if not task.stopped:
            self._advance(task)
        return _view(task)

    def logs(self, service: ServiceSettings, arn: str, lines: int) -> tuple[str, ...]:
        task = self._task(arn)
        return tuple(task.logs[-lines:]) if task is not None else ()

    def stop(self, service: ServiceSettings, arn: str, reason: str) -> None:
        task = self._task(arn)
        if task is None:
            raise OutsideFailure(
                f"StopTask on {arn} failed: InvalidParameterException: The referenced task was not found."
            )
        if not task.stopped:
            task.stopped, task.reason = True, reason
            task.exit_code = 143 if task.started else None

    def _task(self, arn: str) -> FakeTask | None:
        return next((task for task in self.tasks if task.arn == arn), None)

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


def _view(task: FakeTask) -> TaskView:
    return TaskView(
        arn=task.arn,
        command=task.command,
        is_stopped=task.stopped,
        started=task.started,
        exit_code=task.exit_code if task.stopped else None,
        reason=task.reason,
    )
