"""Down-migrations, recreate and delete through the whole route: from the request to the report."""

from typing import Any

import pytest
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.secrets import FakeSecrets
from faults.scenarios.crash import ProcessKilled
from pydantic import SecretStr
from simulations.database import ADDS, AFTER, BAD, BEFORE, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.fake_ports import DEGRADED
from support.builders import image
from support.database_progress import narrow

from rollback.domain.database.migration_impact import ADDITIVE, MigrationImpact, breaking
from rollback.domain.database.progress import DownMigrationProgress, backup_name
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import Strategy
from rollback.resources.database.connection_secret import SecretKeys, has_uri
from rollback.resources.database.errors import OutcomeUnknown
from rollback.workflow import janitor

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pr-42-AbCdEf"
NAME = "preview/pr-42"


def with_way_down(impact: MigrationImpact | None) -> ShippedMigration:
    return DROPS.model_copy(update={"has_down": impact is not None, "down_impact": impact})


def stepping_simulation(
    migration: ShippedMigration, strategy: Strategy = Strategy.AUTO, code: int = 0
) -> DatabaseSimulation:
    """Give v2's image a command that restores the dropped column."""
    simulation = DatabaseSimulation(second=DROPS, checkpoint=False, strategy=strategy, down_command=("down", "{tag}"))
    tasks = FakeTasks(simulation.services)

    def down(log: list[str]) -> int:
        if code:
            log.append("ERROR the column is there already")
            return code
        simulation.neon.migrate(BRANCH, BEFORE, applied(FIRST))
        return 0

    tasks.commands[f"down {DROPS.tag}"] = down
    simulation.replace(tasks=tasks)
    simulation.checkpoint("v2", (FIRST, migration))
    return simulation


def run_to_end(simulation: DatabaseSimulation, execution_input: Any = None) -> Rollback:
    return simulation.read(simulation.run(execution_input))


def test_strategy_auto_runs_down_migrations_if_no_data_is_lost() -> None:
    simulation = stepping_simulation(with_way_down(ADDITIVE))
    desired = simulation.services.desired_count
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert "lose nothing" in simulation.check(rollback, "strategy-is-allowed").reason
    assert (simulation.running(), simulation.services.desired_count) == (image("v1"), desired)
    assert simulation.rows() == GOOD + BAD
    assert "restore" not in simulation.neon.calls
    assert simulation.branch.protected
    assert rollback.database is not None
    command_runs = narrow(rollback.database, DownMigrationProgress).ran
    assert [(run.name, run.exit_code) for run in command_runs] == [(DROPS.tag, 0)]
    backup = simulation.backup(rollback)
    assert backup is not None
    assert f"{DROPS.tag}: exit code 0" in simulation.notifications.sent[-1].message
    assert rollback.open_obligations() == ()


def test_a_failed_down_migration_leaves_no_task_running_on_half_changed_data() -> None:
    simulation = stepping_simulation(with_way_down(ADDITIVE), code=3)
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.FAILED
    assert f"{DROPS.tag} ended with exit code 3: ERROR the column is there already" in rollback.reason
    assert simulation.services.desired_count == 0
    assert simulation.rows() == GOOD + BAD
    assert f"perhaps: {DROPS.tag}" in simulation.pages()[0]


def test_a_migration_applied_after_the_last_observation_suppresses_the_rollback_until_a_recheck() -> None:
    """The plan names the observed migrations: a down-migration below a later migration leads to no release's schema."""
    migration = with_way_down(ADDITIVE)
    simulation = stepping_simulation(migration)
    later_migration = migration.model_copy(update={"tag": "0002_more", "created_at": 3000, "hash": f"{9:064x}"})
    simulation.checkpoint("v2", (FIRST, migration, later_migration))
    simulation.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS, later_migration))
    desired = simulation.services.desired_count
    rollback = run_to_end(simulation)
    assert rollback.outcome is Outcome.SUPPRESSED, rollback.reason
    assert rollback.recheck_at is not None
    assert "0002_more" in rollback.reason
    assert (rollback.has_fenced, simulation.services.desired_count) == (False, desired)


@pytest.mark.parametrize("down", [None, breaking("drop column email")])
def test_strategy_auto_restores_if_down_migrations_would_lose_data(down: MigrationImpact | None) -> None:
    simulation = DatabaseSimulation(second=DROPS, strategy=Strategy.AUTO, down_command=("down", "{tag}"))
    simulation.checkpoint("v2", (FIRST, with_way_down(down)))
    rollback = run_to_end(simulation)
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    assert rollback.plan.database.strategy is Strategy.RESTORE
    assert "a restore, since" in simulation.check(rollback, "strategy-is-allowed").reason


class PreviewSimulation(DatabaseSimulation):
    """Pull request 42 has a child of main with a row of its own, and a secret with the child's address."""

    def __init__(self) -> None:
        super().__init__(second=ADDS)
        self.neon.update_branch(BRANCH, protected=False)
        self.old = self.neon.create_branch(NAME, BRANCH, with_endpoint=True).branch.id
        self.neon.settle()
        self.neon.write(self.old, 42)
        changes = {
            "branch_id": None, "branch_pattern": "preview/pr-{pr}", "source_branch_id": BRANCH,
            "connection_secret_arn": SECRET, "database": "app", "role": "owner",
        }  # fmt: skip
        database = self.database.model_copy(update=changes)
        self.secrets = FakeSecrets()
        self.secrets.values[SECRET] = self.neon.connection_uri(self.old, "app", "owner")
        settings = self.ports.settings.model_copy(update={"database": database})
        self.replace(settings=settings, secrets=self.secrets)
        self.neon.calls.clear()
        self.alarms.recover(DEGRADED)

    def addressed_branch(self) -> SecretStr:
        return self.secrets.values[SECRET]


def test_a_requested_recreate_of_a_preview_starts_the_service_with_the_new_address() -> None:
    simulation = PreviewSimulation()
    desired, running = simulation.services.desired_count, simulation.running()
    rollback = run_to_end(simulation, {"type": "database", "pr": 42, "strategy": "recreate"})
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    new = simulation.neon.branch_named(NAME)
    assert new is not None
    assert new.id != simulation.old
    assert has_uri(simulation.addressed_branch(), SecretKeys(), simulation.neon.connection_uri(new.id, "app", "owner"))
    assert simulation.neon.rows(new.id) == GOOD + BAD
    old_branch = simulation.neon.branch(simulation.old)
    assert old_branch is not None
    assert (old_branch.name, simulation.neon.rows(old_branch.id)) == (backup_name(rollback.id), [*GOOD, *BAD, 42])
    assert (simulation.services.desired_count, simulation.running()) == (desired, running)
    assert rollback.database is not None
    assert rollback.database.data_loss is not None
    assert [table.removed_rows for table in rollback.database.data_loss.tables] == [1]


def test_a_recreated_preview_can_be_undone() -> None:
    simulation = PreviewSimulation()
    rollback = run_to_end(simulation, {"type": "database", "pr": 42, "strategy": "recreate"})
    simulation.pass_time(minutes=30)
    undo = simulation.read(simulation.run({"type": "database", "undo": rollback.id}, "execution-2"))
    assert undo.outcome is Outcome.SUCCEEDED, undo.reason
    new = simulation.neon.branch_named(NAME)
    assert new is not None
    assert simulation.neon.rows(new.id) == [*GOOD, *BAD, 42]
    old_branch = simulation.neon.branch(simulation.old)
    assert old_branch is not None
    assert old_branch.expires_at is None, "the branch comes from it now"


@pytest.mark.parametrize("is_there", [True, False])
def test_the_branch_of_a_closed_pull_request_is_deleted_and_the_service_keeps_running(is_there: bool) -> None:
    simulation = PreviewSimulation()
    if not is_there:
        simulation.neon.delete_branch(simulation.old)
        simulation.neon.settle()
    rollback = run_to_end(simulation, {"type": "database", "pr": 42, "strategy": "delete"})
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.neon.branch_named(NAME) is None
    assert "update" not in simulation.changes()


# Killed after Neon or ECS made a change and before the save, and never resumed


def kill_at_call(simulation: DatabaseSimulation, call: str, times: int, execution_input: Any) -> Rollback:
    """Kill the rollback at its n-th such call, and let the janitor conclude it."""
    call_counts = [0]

    class Kills:
        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            method = getattr(self._real, name)

            def call_and_kill(*args: Any, **kwargs: Any) -> Any:
                answer = method(*args, **kwargs)
                call_counts[0] += 1
                if call_counts[0] == times:
                    raise ProcessKilled
                return answer

            return call_and_kill if name == call else method

    ports = simulation.ports
    simulation.replace(neon=Kills(simulation.neon), tasks=Kills(ports.tasks))
    rollback = simulation.admit(execution_input)
    with pytest.raises(ProcessKilled):
        simulation.run_until(rollback)
    simulation.replace(neon=ports.neon, tasks=ports.tasks)
    janitor.conclude_execution(rollback.execution, "its execution ended as TIMED_OUT", simulation.ports)
    for _ in range(40):
        simulation.neon.settle()
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
    rollback = simulation.read(rollback)
    assert rollback.concluded_at is not None
    return rollback


RECREATE = {"type": "database", "pr": 42, "strategy": "recreate"}


@pytest.mark.parametrize(("call", "times"), [("update_branch", 1), ("create_branch", 1)])
def test_the_report_of_a_crashed_recreate_identifies_both_branches(call: str, times: int) -> None:
    simulation = PreviewSimulation()
    rollback = kill_at_call(simulation, call, times, RECREATE)
    old_branch = simulation.neon.branch(simulation.old)
    assert old_branch is not None
    assert old_branch.name == backup_name(rollback.id)
    assert rollback.database is not None
    assert rollback.database.backup_id == simulation.old
    assert rollback.has_changed_data
    page, new = simulation.pages()[-1], simulation.neon.branch_named(NAME)
    assert f"backup branch {simulation.old}" in page
    if new is None:
        assert f"rename {old_branch.name} back to {NAME}" in page
    else:
        assert f"branch {NAME} is {new.id} now, and {old_branch.name} has the former branch" in page


def test_a_crashed_recreate_whose_renaming_was_refused_changed_nothing() -> None:
    simulation = PreviewSimulation()
    simulation.neon.refuse_next("update_branch", OutcomeUnknown("the connection broke before it was sent"))
    rollback = simulation.admit(RECREATE)
    while "update_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    janitor.conclude_execution(rollback.execution, "its execution ended as TIMED_OUT", simulation.ports)
    for _ in range(40):
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
    rollback = simulation.read(rollback)
    assert not rollback.has_changed_data
    assert simulation.services.desired_count == 2
    assert "the data is untouched" in simulation.pages()[-1]


def test_a_crashed_deletion_is_reported_and_undo_says_where_the_branch_is() -> None:
    simulation = PreviewSimulation()
    rollback = kill_at_call(simulation, "delete_branch", 1, {"type": "database", "pr": 42, "strategy": "delete"})
    assert simulation.neon.branch(simulation.old) is None
    assert rollback.outcome is Outcome.FAILED
    assert f"branch {NAME} was deleted; Neon's console can recover it for seven days" in simulation.pages()[-1]
    undo = simulation.read(simulation.run({"type": "database", "undo": rollback.id}, "execution-2"))
    assert undo.outcome is Outcome.REFUSED
    assert "Neon's console can recover it for seven days" in undo.reason


def test_a_down_migration_that_crashed_after_its_task_began_is_followed_to_its_end() -> None:
    simulation = stepping_simulation(with_way_down(ADDITIVE))
    rollback = kill_at_call(simulation, "run", 1, None)
    assert rollback.database is not None
    assert [(run.name, run.exit_code) for run in narrow(rollback.database, DownMigrationProgress).ran] == [
        (DROPS.tag, 0)
    ]
    assert rollback.has_changed_data
    assert f"{DROPS.tag}: exit code 0" in simulation.pages()[-1]
    assert f"backup branch {rollback.database.backup_id}" in simulation.pages()[-1]
    assert simulation.services.desired_count == 0


def test_a_down_migration_that_crashed_before_its_task_names_the_unneeded_backup() -> None:
    simulation = stepping_simulation(with_way_down(ADDITIVE))
    rollback = kill_at_call(simulation, "create_branch", 1, None)
    assert not rollback.has_changed_data
    assert simulation.services.desired_count == 2
    assert f"delete {backup_name(rollback.id)}: no command ran" in simulation.pages()[-1]
