"""Promises of the port to one-off tasks, kept on the fake and on the embedded cloud."""

import uuid
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from contract.local_cloud.workload import Workload, eventually
from contract.real_ports import real_ports
from fakes.aws.ecs_services import CLUSTER, ECS_SERVICE, FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.ecs_writers import FakeWriters
from support.builders import SERVICE, image

from local_cloud.deployment.server import LocalCloud
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.aws.ecs import Tasks
from rollback.resources.aws.ecs_task import TaskView
from rollback.resources.database.errors import OutcomeUnknown, RequestRefused

DOWN, FAILS, LONG = ("pnpm", "db:down", "0002_x"), ("fail",), ("long",)
SAYS = "stepping down 0002_x"
STARTED_BY = "express-api-20260301T030000Z-00000000"  # a rollback's id


class Harness(Protocol):
    """A service whose release has three commands: one prints a line, one fails, one never ends."""

    tasks: Tasks
    settings: ServiceSettings
    definition_arn: str

    def deregister(self) -> None: ...
    def wait(self, until: Callable[[], TaskView | None]) -> TaskView: ...
    def unstartable(self) -> str:
        """Register a definition whose image does not exist."""
        ...


class FakeHarness:
    settings = ServiceSettings(name=SERVICE, cluster=CLUSTER, ecs_service=ECS_SERVICE, container="app")

    def __init__(self) -> None:
        self._services = FakeServices()
        self.definition_arn = self._release()
        self._services.run(self.definition_arn)
        self._fake = FakeTasks(self._services)
        self.tasks: Tasks = self._fake

        def down(log: list[str]) -> int:
            log.append(SAYS)
            return 0

        self._fake.commands = {" ".join(DOWN): down, " ".join(FAILS): lambda _: 3, " ".join(LONG): lambda _: None}

    def _release(self) -> str:
        container = {"name": "app", "image": image("v1")}
        return self._services.register_release({"containerDefinitions": [container]}, "web")

    def deregister(self) -> None:
        self._services.deregister(self.definition_arn)

    def unstartable(self) -> str:
        arn = self._release()
        self._fake.unstartable.add(arn)
        return arn

    def wait(self, until: Callable[[], TaskView | None]) -> TaskView:
        first_view = next((view for _ in range(20) if (view := until()) is not None), None)
        assert first_view is not None
        return first_view


class LocalCloudHarness:
    def __init__(self, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.web = Workload(cloud, balanced=False)
        cloud.client("logs").create_log_group(logGroupName=self.web.name)
        options = {
            "awslogs-group": self.web.name, "awslogs-region": cloud.region, "awslogs-stream-prefix": "express",
        }  # fmt: skip
        commands = {
            " ".join(DOWN): {"says": SAYS}, " ".join(FAILS): {"exit": 3}, " ".join(LONG): {"seconds": 60},
        }  # fmt: skip
        settings: dict[str, Any] = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
        self.definition_arn = self.web.release("v1", {"commands": commands}, **settings)
        self.web.create(self.definition_arn, desired=0)
        self.settings = ServiceSettings(name=SERVICE, cluster=self.web.name, ecs_service=self.web.name, container="app")
        self.tasks = real_ports(cloud, monkeypatch, self.settings).tasks

    def deregister(self) -> None:
        self.web.ecs.deregister_task_definition(taskDefinition=self.definition_arn)

    def unstartable(self) -> str:
        return self.web.register("never-pushed")

    def wait(self, until: Callable[[], TaskView | None]) -> TaskView:
        return eventually(until)


@pytest.fixture(params=["fake", "cloud"])
def harness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Harness:
    return (
        FakeHarness() if request.param == "fake" else LocalCloudHarness(request.getfixturevalue("cloud"), monkeypatch)
    )


def run(harness: Harness, command: tuple[str, ...], token: str | None = None, definition_arn: str | None = None) -> str:
    definition = definition_arn or harness.definition_arn
    return harness.tasks.run(harness.settings, definition, command, STARTED_BY, token or uuid.uuid4().hex)


def wait_until_stopped(harness: Harness, arn: str) -> TaskView:
    def stopped() -> TaskView | None:
        view = harness.tasks.describe(harness.settings, arn)
        return view if view is not None and view.is_stopped else None

    return harness.wait(stopped)


def test_a_command_runs_to_its_end_and_returns_its_exit_code_and_last_lines(harness: Harness) -> None:
    arn = run(harness, DOWN)
    view = wait_until_stopped(harness, arn)
    assert (view.command, view.started, view.exit_code) == (DOWN, True, 0)
    assert harness.tasks.logs(harness.settings, arn, 1) == (SAYS,)


@pytest.mark.parametrize(("command", "code"), [(FAILS, 3), (("not-there",), 127)])
def test_a_failed_command_returns_its_exit_code(harness: Harness, command: tuple[str, ...], code: int) -> None:
    assert wait_until_stopped(harness, run(harness, command)).exit_code == code


def test_a_repeated_token_starts_no_second_task_and_a_new_token_does(harness: Harness) -> None:
    token = uuid.uuid4().hex
    first = run(harness, FAILS, token)
    assert run(harness, FAILS, token) == first
    wait_until_stopped(harness, first)
    assert run(harness, FAILS, token) == first
    assert run(harness, FAILS) != first


def test_a_repeated_token_with_other_arguments_has_an_unknown_outcome(harness: Harness) -> None:
    token = uuid.uuid4().hex
    first = run(harness, FAILS, token)
    with pytest.raises(OutcomeUnknown):
        run(harness, DOWN, token)
    assert [task.arn for task in harness.tasks.started_by(harness.settings, STARTED_BY)] == [first]


def test_a_task_is_found_by_started_by_while_it_runs_and_after_its_end(harness: Harness) -> None:
    arn = run(harness, LONG)
    assert [(task.arn, task.command) for task in harness.tasks.started_by(harness.settings, STARTED_BY)] == [
        (arn, LONG)
    ]
    assert harness.tasks.started_by(harness.settings, "somebody-else") == ()
    harness.tasks.stop(harness.settings, arn, "it takes too long")
    view = wait_until_stopped(harness, arn)
    assert view.exit_code != 0
    assert "it takes too long" in view.reason
    harness.tasks.stop(harness.settings, arn, "again")
    assert [task.arn for task in harness.tasks.started_by(harness.settings, STARTED_BY)] == [arn]


def test_a_task_that_can_not_start_has_no_exit_code_and_names_the_reason(harness: Harness) -> None:
    view = wait_until_stopped(harness, run(harness, FAILS, definition_arn=harness.unstartable()))
    assert (view.started, view.exit_code) == (False, None)
    assert "CannotPullContainerError" in view.reason
    assert harness.tasks.logs(harness.settings, view.arn, 5) == ()


def test_a_deregistered_definition_is_refused(harness: Harness) -> None:
    harness.deregister()
    with pytest.raises(RequestRefused, match=r"inactive.*no task was started"):
        run(harness, FAILS)
    assert harness.tasks.started_by(harness.settings, STARTED_BY) == ()


def test_a_missing_task_is_none(harness: Harness) -> None:
    cluster = harness.settings.cluster
    arn = f"arn:aws:ecs:eu-west-1:123456789012:task/{cluster}/{uuid.uuid4().hex}"
    assert harness.tasks.describe(harness.settings, arn) is None
    assert harness.tasks.logs(harness.settings, arn, 5) == ()
    with pytest.raises(ExternalServiceError):
        harness.tasks.stop(harness.settings, arn, "gone")


def test_a_missing_service_is_refused(harness: Harness) -> None:
    other = harness.settings.model_copy(update={"ecs_service": "other"})
    with pytest.raises(RequestRefused, match="no ACTIVE service other"):
        harness.tasks.run(other, harness.definition_arn, DOWN, STARTED_BY, uuid.uuid4().hex)


def test_a_task_returns_the_lines_and_exit_code_of_its_own_container_only(harness: Harness) -> None:
    arn = run(harness, DOWN)
    assert wait_until_stopped(harness, arn).exit_code == 0
    other = harness.settings.model_copy(update={"container": "sidecar"})
    view = harness.tasks.describe(other, arn)
    assert view is not None
    assert (view.is_stopped, view.exit_code, view.command) == (True, None, ())
    assert harness.tasks.logs(other, arn, 5) == ()
    with pytest.raises(CallRefused, match="GetLogEvents"):
        harness.tasks.logs(harness.settings, arn, 0)


@pytest.mark.parametrize(
    ("started_by", "token"),
    [("not allowed: <>", "a" * 32), ("w" * 129, "a" * 32), (STARTED_BY, "a" * 65), (STARTED_BY, "not a token")],
)
def test_invalid_names_and_tokens_are_refused(harness: Harness, started_by: str, token: str) -> None:
    with pytest.raises(RequestRefused, match="no task was started"):
        harness.tasks.run(harness.settings, harness.definition_arn, FAILS, started_by, token)
    assert harness.tasks.started_by(harness.settings, STARTED_BY) == ()


def test_a_missing_container_or_definition_is_refused(harness: Harness) -> None:
    other = harness.settings.model_copy(update={"container": "sidecar"})
    with pytest.raises(RequestRefused, match="sidecar"):
        harness.tasks.run(other, harness.definition_arn, FAILS, STARTED_BY, uuid.uuid4().hex)
    with pytest.raises(RequestRefused, match="no task was started"):
        run(harness, FAILS, definition_arn=f"{harness.definition_arn}99")
    assert harness.tasks.started_by(harness.settings, STARTED_BY) == ()


def test_a_task_does_not_exist_in_another_cluster(harness: Harness) -> None:
    arn = run(harness, LONG)
    other = harness.settings.model_copy(update={"cluster": "not-there"})
    for call in (
        lambda: harness.tasks.describe(other, arn),
        lambda: harness.tasks.started_by(other, STARTED_BY),
        lambda: harness.tasks.stop(other, arn, "not ours"),
        lambda: harness.tasks.run(other, harness.definition_arn, FAILS, STARTED_BY, uuid.uuid4().hex),
    ):
        with pytest.raises(CallRefused):
            call()
    view = harness.tasks.describe(harness.settings, arn)
    assert view is not None
    assert not view.is_stopped
    harness.tasks.stop(harness.settings, arn, "the test is over")


def test_a_repeated_token_in_another_cluster_starts_another_task() -> None:
    """Amazon ECS API reference, "Ensuring idempotency": a token counts within its cluster."""
    here = FakeServices()
    other_services = FakeServices(cluster="another", beside=here)
    both = FakeWriters({"here": here, "there": other_services})
    tasks = FakeTasks(both)
    settings = (FakeHarness.settings, FakeHarness.settings.model_copy(update={"cluster": "another"}))
    for service in (here, other_services):
        definition = {"containerDefinitions": [{"name": "app", "image": image("v1")}]}
        service.run(service.register_release(definition, "web"))
    arns = [
        tasks.run(service_settings, here.describe(settings[0]).primary.definition_arn, DOWN, STARTED_BY, "a" * 32)
        for service_settings in settings
    ]
    assert len(set(arns)) == 2
