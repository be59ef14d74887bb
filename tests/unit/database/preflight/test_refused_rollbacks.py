"""Refusals through the whole route: each names its cause and the next step, and changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.secrets import FakeSecrets
from simulations.database import ADDS, BAD, BRANCH, GOOD, DatabaseSimulation
from simulations.fake_ports import DEGRADED
from support.builders import SERVICE, image

from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.policy import Policy
from rollback.errors import ExternalServiceError
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.resources.database.errors import AccessRefused, NotFound, OutcomeUnknown, ProjectLocked, RequestRefused
from rollback.resources.database.postgres import ClientSession
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

APPROVED = Policy()
STAGING_ROW, PREVIEW_ROW = 7, 42
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pr-42-AbCdEf"
PREVIEW = "preview/pr-42"
SCALED = ScalableTarget(min_capacity=2, max_capacity=6, suspended=dict.fromkeys(SCALING_FLAGS, False))
WRONG_KEY = "failed: 401: unauthorized; check that the API key in the secret is this project's and not revoked"


class Unwilling:
    """A fake of Neon whose `refuse` may answer each call first."""

    def __init__(self, real: Any, refuse: Callable[[str], None]) -> None:
        self._real, self._refuse = real, refuse

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._refuse(name)
            return attribute(*args, **kwargs)

        return call


class Environment(DatabaseSimulation):
    """An environment with autoscaling. `given` is the operator's request, `own` the branch to change."""

    given: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        super().__init__(APPROVED, **options)
        self.own = BRANCH
        self.replace(scaling=FakeScaling(self.services, SCALED))
        self.alarms.recover(DEGRADED)

    def settled(self, **changes: Any) -> None:
        self.neon.settle()
        self.database = self.database.model_copy(update=changes)
        self.replace(settings=self.ports.settings.model_copy(update={"database": self.database}))
        self.neon.calls.clear()

    def child_of_main(self, name: str, row: int, *, protected: bool) -> str:
        branch_id = self.neon.create_branch(name, BRANCH, with_endpoint=True, protected=protected).branch.id
        self.neon.settle()
        self.neon.write(branch_id, row)
        return branch_id

    def neon_says(self, refuse: Callable[[str], None]) -> None:
        self.replace(neon=Unwilling(self.neon, refuse))

    def state(self) -> dict[str, object]:
        """Return the state that a refusal must not change."""
        leases = (SERVICE, self.database.branch_key(self.given.get("pr")))
        return {
            "branches": sorted((b.id, b.name, b.parent_id, b.protected, b.last_reset_at) for b in self.neon.branches()),
            "rows": [self.neon.rows(b.id) for b in self.neon.branches()],
            "running": self.running(),
            "desired": self.services.desired_count,
            "scaling": self.ports.scaling.describe(self.ports.settings.services[0]),
            "leases": [self.ledger.lease(key) for key in leases],
        }


class Full(Environment):
    """A full rollback of production."""

    given = {"type": "full", "target_version": "v1"}  # noqa: RUF012


class Data(Environment):
    """A rollback of production's data alone."""

    given = {"type": "database", "reason": "wrong rows"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(second=ADDS)


class Staging(Environment):
    """Staging, a protected child of production's branch. A reset has production's id from the settings."""

    given = {"type": "database"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(second=ADDS)
        self.own = self.child_of_main("staging", STAGING_ROW, protected=True)
        self.settled(branch_id=self.own, strategy=Strategy.RESET, source_branch_id=BRANCH)


class Feature(Environment):
    """Pull request 42, which has a branch of production's."""

    given = {"type": "database", "pr": 42}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(second=ADDS)
        self.own = self.child_of_main(PREVIEW, PREVIEW_ROW, protected=False)
        pattern = "preview/pr-{pr}"
        self.settled(branch_id=None, branch_pattern=pattern, strategy=Strategy.RESET, source_branch_id=BRANCH)


class Recreated(Feature):
    """Pull request 42, whose branch's address is in a secret."""

    given = {"type": "database", "pr": 42, "strategy": "recreate"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        secrets = FakeSecrets()
        secrets.values[SECRET] = self.neon.connection_uri(self.own, "app", "owner")
        self.replace(secrets=secrets)
        self.settled(connection_secret_arn=SECRET, database="app", role="owner")


class Deleted(Feature):
    given = {"type": "database", "pr": 42, "strategy": "delete"}  # noqa: RUF012


PRODUCTION: tuple[type[Environment], ...] = (Full, Data)
FENCED: tuple[type[Environment], ...] = (*PRODUCTION, Staging, Feature)
ALL: tuple[type[Environment], ...] = (*FENCED, Recreated, Deleted)


@dataclass(frozen=True)
class Cause:
    """Obstacle, with the texts of its refusal: the cause and the next step."""

    name: str
    arrange: Callable[[Environment], None]
    said: tuple[str, ...]
    where: tuple[type[Environment], ...]


def history_is_too_short(simulation: Environment) -> None:
    simulation.neon.retention_seconds = 10 * 60


def root_branch_limit_is_reached(simulation: Environment) -> None:
    simulation.neon.root_branch_limit = 3
    for name in ("rollback-backup-1", "rollback-backup-2"):
        simulation.neon._branches[name] = simulation.branch.model_copy(
            update={"id": name, "name": name, "protected": False}
        )
        simulation.neon._logs[name] = simulation.neon._logs[BRANCH]


def branch_has_a_child(simulation: Environment) -> None:
    """Obstacles that only some settings or strategies have."""
    simulation.database = simulation.database.model_copy(update={"children": "refuse"})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": simulation.database}))
    simulation.neon.create_branch("preview/child", simulation.own)
    simulation.settled()


def client_is_connected(simulation: Environment) -> None:
    session = ClientSession(pid=1, role="reporting", application="metabase", address="10.0.0.9")
    simulation.sql.sessions[simulation.own] = [session]
    simulation.sql.comes_back = {"metabase"}


def key_is_wrong(simulation: Environment) -> None:
    def refuse(name: str) -> None:
        raise AccessRefused(f"{name} {WRONG_KEY}")

    simulation.neon_says(refuse)


def project_is_unknown(simulation: Environment) -> None:
    def refuse(name: str) -> None:
        raise NotFound(f"{name} failed: 404: project not found; check the project and branch ids in the settings")

    simulation.neon_says(refuse)


def branch_is_deleted(simulation: Environment) -> None:
    simulation.neon._branches["br-other"] = simulation.branch.model_copy(update={"id": "br-other", "name": "other"})
    simulation.neon._logs["br-other"] = simulation.neon._logs[BRANCH]
    del simulation.neon._branches[simulation.own]


CAUSES = (
    Cause("history", history_is_too_short, ("not within what Neon keeps of main", "Name a later time"), PRODUCTION),
    Cause(
        "room", root_branch_limit_is_reached,
        ("3 of 3 root branches", "delete a backup that is no longer needed (rollback-backup-1, "), PRODUCTION,
    ),
    Cause("children", branch_has_a_child, ("preview/child", "Delete or reset them first"), ALL),
    Cause("writer", client_is_connected, ("metabase as reporting from 10.0.0.9", "add the service to the writers"),
          (Full, Staging, Feature, Recreated)),  # no schema of Data's release is recorded
    Cause("key", key_is_wrong, ("check that the API key in the secret is this project's",), ALL),
    Cause("project", project_is_unknown, ("check the project and branch ids in the settings",), ALL),
    Cause("branch", branch_is_deleted, ("has no branch", "its branches: ", "other (br-other)"), (*FENCED, Recreated)),
)  # fmt: skip


def run_to_end(simulation: Environment) -> Rollback:
    return simulation.read(simulation.run(simulation.given))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [pytest.param(kind, cause, id=f"{kind.__name__}-{cause.name}") for cause in CAUSES for kind in cause.where],
)
def test_an_impossible_rollback_is_refused_with_the_next_step_and_changes_nothing(
    kind: type[Environment], cause: Cause
) -> None:
    simulation = kind()
    cause.arrange(simulation)
    state_before = simulation.state()
    rollback = run_to_end(simulation)

    assert rollback.outcome is Outcome.REFUSED, rollback.reason
    assert simulation.state() == state_before
    assert rollback.open_obligations() == ()
    assert rollback.left_to_operator() == ()
    # These calls change no data: the preview, made and deleted while services run, and the restart behind the fence.
    preview = (
        ["create_branch", "delete_branch"]
        if cause.name == "writer" and simulation.neon.calls[:1] == ["create_branch"]
        else []
    )
    restarts = [call for call in simulation.neon.calls if call == "restart_endpoint"]
    assert simulation.neon.calls == [*preview, *restarts]
    report = simulation.pages()[-1]
    for words in cause.said:
        assert words in report
    assert any(words in report for words in ("nothing was changed", "the database was not changed"))


@pytest.mark.parametrize("kind", ALL)
def test_a_rollback_waits_for_a_project_that_is_locked_for_two_minutes(kind: type[Environment]) -> None:
    """Neon answers every change with 423, for two minutes from the first one on."""
    simulation = kind()
    desired, since = simulation.services.desired_count, dict[str, Any]()
    reads = {"project", "branches", "branch", "branch_named", "endpoints", "operation", "operations_since"}

    def refuse(name: str) -> None:
        first_call_at = since.setdefault(name, simulation.clock.now())
        if name not in {*reads, "connection_uri"} and simulation.clock.now() - first_call_at < timedelta(minutes=2):
            raise ProjectLocked(f"{name} failed: 423; wait for the project's operations to end", 10)

    simulation.neon_says(refuse)
    simulation.given = {**simulation.given, "force": True}  # no schema of v2 was recorded
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert rollback.open_obligations() == rollback.left_to_operator() == ()
    assert simulation.services.desired_count == desired
    assert simulation.ledger.lease(SERVICE) is None


@pytest.mark.parametrize("kind", FENCED)
def test_a_rollback_waits_for_a_project_whose_lock_refuses_reads_too(kind: type[Environment]) -> None:
    simulation = kind()
    simulation.given = {**simulation.given, "force": True}  # no schema of v2 was recorded
    until = simulation.clock.now() + timedelta(minutes=2)

    def refuse(name: str) -> None:
        if simulation.clock.now() < until:
            raise ProjectLocked(f"{name} failed: 423; wait for the project's operations to end", 10)

    simulation.neon_says(refuse)
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason


def test_staging_is_reset_to_production_and_protected_again() -> None:
    simulation = Staging()
    desired = simulation.services.desired_count
    rollback = run_to_end(simulation)

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    branch, backup = simulation.neon.branch(simulation.own), simulation.backup(rollback)
    assert branch is not None
    assert backup is not None
    assert (branch.protected, branch.parent_id, simulation.neon.rows(simulation.own)) == (True, BRANCH, GOOD + BAD)
    assert simulation.neon.rows(backup.id) == [*GOOD, *BAD, STAGING_ROW]
    assert (simulation.services.desired_count, simulation.running()) == (desired, image("v2"))
    assert simulation.branch.protected, "production's own"
    assert simulation.rows() == GOOD + BAD
    assert simulation.ports.scaling.describe(simulation.service_settings) == SCALED
    assert "gone: 1;" in simulation.notifications.sent[-1].message
    assert f"rollback undo production {rollback.id}" in simulation.notifications.sent[-1].message


def test_a_preview_is_reset_by_default_and_keeps_its_address() -> None:
    simulation = Feature()
    address = simulation.neon.connection_uri(simulation.own, "app", "owner").get_secret_value().split("@")[1]
    rollback = run_to_end(simulation)

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    branch, backup = simulation.neon.branch_named(PREVIEW), simulation.backup(rollback)
    assert branch is not None
    assert backup is not None
    assert (branch.id, simulation.neon.rows(branch.id)) == (simulation.own, GOOD + BAD)
    assert simulation.neon.rows(backup.id) == [*GOOD, *BAD, PREVIEW_ROW]
    assert simulation.neon.connection_uri(branch.id, "app", "owner").get_secret_value().endswith(address)


class Failing:
    """Fail call `at`, counted from the removal of protection, once or with all later calls of its kind."""

    def __init__(
        self, simulation: Environment, at: int = 0, error: Exception | None = None, *, for_ever: bool = False
    ) -> None:
        self.calls: list[str] = []
        self._simulation, self._at, self._error, self._for_ever = simulation, at, error, for_ever
        simulation.neon_says(self._refuse)

    def _refuse(self, name: str) -> None:
        if "update_branch" not in self._simulation.neon.calls:
            return
        self.calls.append(name)
        is_failing_call = len(self.calls) == self._at
        is_later_call = self._for_ever and 0 < self._at < len(self.calls) and self.calls[self._at - 1] == name
        if self._error is not None and (is_failing_call or (is_later_call and name != "update_branch")):
            raise self._error


def run_as_step_functions(simulation: Environment) -> Rollback:
    """Retry a failing step, and conclude after five failures, as the state machine does."""
    rollback, attempts = simulation.admit(simulation.given), 0
    for _ in range(600):
        rollback = simulation.read(rollback)
        due = next_step(rollback)
        if due is Step.DONE:
            return rollback
        try:
            simulation.run_due_step(rollback)
            attempts = 0
            simulation.neon.settle()
        except ExternalServiceError as failure:
            attempts += 1
            simulation.pass_time(seconds=5)
            simulation.neon.settle()
            if attempts == 5 and due is not Step.CONCLUDE:
                run_step(rollback.id, Step.CONCLUDE, simulation.ports, f"{type(failure).__name__}: {failure}")
    raise AssertionError(f"never concluded: {rollback}")


def calls_while_unprotected(kind: type[Environment]) -> int:
    simulation = kind()
    failing = Failing(simulation)
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    return len(failing.calls) - failing.calls[::-1].index("update_branch")


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize(
    "error", [ExternalServiceError("500"), OutcomeUnknown("524"), RequestRefused("422"), AccessRefused("403")], ids=str
)
@pytest.mark.parametrize("kind", [Full, Staging])
def test_a_protected_branch_is_protected_again_although_any_intermediate_call_fails(
    kind: type[Environment], error: Exception, for_ever: bool
) -> None:
    for at in range(1, calls_while_unprotected(kind) + 1):
        simulation = kind()
        failing = Failing(simulation, at, error, for_ever=for_ever)
        rollback = run_as_step_functions(simulation)
        branch, failure = (
            simulation.neon.branch(simulation.own),
            f"{failing.calls[at - 1]}, call {at}: {rollback.reason}",
        )
        assert branch is not None
        line = f"NOT RESTORED: protection of branch {simulation.own}, recorded value protected"
        assert branch.protected or (
            for_ever and failing.calls[at - 1] == "branch" and line in simulation.pages()[-1]
        ), failure
        assert rollback.concluded_at is not None, failure
        assert rollback.open_obligations() == (), failure
        if rollback.outcome is Outcome.REFUSED:
            assert simulation.services.desired_count == 2, failure
