"""Down-migrations, recreate and delete through the whole route: from the request to the report."""

from typing import Any

import pytest
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.secrets import FakeSecrets
from faults.scenarios.crash import ProcessKilled
from pydantic import SecretStr
from simulations.database import ADDS, AFTER, BAD, BEFORE, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.worlds import DEGRADED
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


def stepping_stage(second: ShippedMigration, strategy: Strategy = Strategy.AUTO, code: int = 0) -> DatabaseSimulation:
    """Give v2's image a command that restores the dropped column."""
    stage = DatabaseSimulation(second=DROPS, checkpoint=False, strategy=strategy, down_command=("down", "{tag}"))
    tasks = FakeTasks(stage.services)

    def down(log: list[str]) -> int:
        if code:
            log.append("ERROR the column is there already")
            return code
        stage.neon.migrate(BRANCH, BEFORE, applied(FIRST))
        return 0

    tasks.commands[f"down {DROPS.tag}"] = down
    stage.replace(tasks=tasks)
    stage.checkpoint("v2", (FIRST, second))
    return stage


def ended(stage: DatabaseSimulation, given: Any = None) -> Rollback:
    return stage.read(stage.run(given))


def test_strategy_auto_steps_down_if_that_loses_nothing_and_no_row_is_lost() -> None:
    stage = stepping_stage(with_way_down(ADDITIVE))
    desired = stage.services.desired_count
    rollback = ended(stage)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert "lose nothing" in stage.check(rollback, "strategy").reason
    assert (stage.running(), stage.services.desired_count) == (image("v1"), desired)
    assert stage.rows() == GOOD + BAD
    assert "restore" not in stage.neon.calls
    assert stage.branch.protected
    assert rollback.database is not None
    ran = narrow(rollback.database, DownMigrationProgress).ran
    assert [(run.name, run.exit_code) for run in ran] == [(DROPS.tag, 0)]
    backup = stage.backup(rollback)
    assert backup is not None
    assert f"{DROPS.tag}: exit code 0" in stage.notifications.sent[-1].message
    assert rollback.open_obligations() == ()


def test_a_failed_down_migration_leaves_no_task_running_on_half_changed_data() -> None:
    stage = stepping_stage(with_way_down(ADDITIVE), code=3)
    rollback = ended(stage)
    assert rollback.outcome is Outcome.FAILED
    assert f"{DROPS.tag} ended with exit code 3: ERROR the column is there already" in rollback.reason
    assert stage.services.desired_count == 0
    assert stage.rows() == GOOD + BAD
    assert f"perhaps: {DROPS.tag}" in stage.pages()[0]


def test_a_migration_that_came_after_the_last_look_is_not_left_on_top_of_those_that_step_down() -> None:
    """The plan names the observed migrations: one stepped down below another leads to no release's schema."""
    way_down = with_way_down(ADDITIVE)
    stage = stepping_stage(way_down)
    later = way_down.model_copy(update={"tag": "0002_more", "created_at": 3000, "hash": f"{9:064x}"})
    stage.checkpoint("v2", (FIRST, way_down, later))
    stage.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS, later))
    desired = stage.services.desired_count
    rollback = ended(stage)
    assert rollback.outcome is Outcome.SUPPRESSED, rollback.reason
    assert rollback.recheck_at is not None
    assert "0002_more" in rollback.reason
    assert (rollback.has_fenced, stage.services.desired_count) == (False, desired)


@pytest.mark.parametrize("down", [None, breaking("drop column email")])
def test_strategy_auto_restores_if_stepping_down_would_lose_data(down: MigrationImpact | None) -> None:
    stage = DatabaseSimulation(second=DROPS, strategy=Strategy.AUTO, down_command=("down", "{tag}"))
    stage.checkpoint("v2", (FIRST, with_way_down(down)))
    rollback = ended(stage)
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    assert rollback.plan.database.strategy is Strategy.RESTORE
    assert "a restore, since" in stage.check(rollback, "strategy").reason


class PreviewStage(DatabaseSimulation):
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
        settings = self.world.settings.model_copy(update={"database": database})
        self.replace(settings=settings, secrets=self.secrets)
        self.neon.calls.clear()
        self.alarms.recover(DEGRADED)

    def addressed_branch(self) -> SecretStr:
        return self.secrets.values[SECRET]


def test_a_preview_is_recreated_when_asked_and_the_service_starts_with_the_new_address() -> None:
    stage = PreviewStage()
    desired, running = stage.services.desired_count, stage.running()
    rollback = ended(stage, {"type": "database", "pr": 42, "strategy": "recreate"})
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    new = stage.neon.branch_named(NAME)
    assert new is not None
    assert new.id != stage.old
    assert has_uri(stage.addressed_branch(), SecretKeys(), stage.neon.connection_uri(new.id, "app", "owner"))
    assert stage.neon.rows(new.id) == GOOD + BAD
    old = stage.neon.branch(stage.old)
    assert old is not None
    assert (old.name, stage.neon.rows(old.id)) == (backup_name(rollback.id), [*GOOD, *BAD, 42])
    assert (stage.services.desired_count, stage.running()) == (desired, running)
    assert rollback.database is not None
    assert rollback.database.data_loss is not None
    assert [table.removed_rows for table in rollback.database.data_loss.tables] == [1]


def test_a_recreated_preview_can_be_undone() -> None:
    stage = PreviewStage()
    recreated = ended(stage, {"type": "database", "pr": 42, "strategy": "recreate"})
    stage.pass_time(minutes=30)
    undone = stage.read(stage.run({"type": "database", "undo": recreated.id}, "execution-2"))
    assert undone.outcome is Outcome.SUCCEEDED, undone.reason
    new = stage.neon.branch_named(NAME)
    assert new is not None
    assert stage.neon.rows(new.id) == [*GOOD, *BAD, 42]
    old = stage.neon.branch(stage.old)
    assert old is not None
    assert old.expires_at is None, "the branch comes from it now"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_closed_pull_request_s_branch_is_deleted_and_the_service_stays(is_there: bool) -> None:
    stage = PreviewStage()
    if not is_there:
        stage.neon.delete_branch(stage.old)
        stage.neon.settle()
    rollback = ended(stage, {"type": "database", "pr": 42, "strategy": "delete"})
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert stage.neon.branch_named(NAME) is None
    assert "update" not in stage.changes()


# Killed after Neon or ECS made a change and before the save, and never resumed


def killed_after(stage: DatabaseSimulation, call: str, times: int, given: Any) -> Rollback:
    """Kill the rollback at its n-th such call, and let the janitor conclude it."""
    made = [0]

    class Kills:
        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            method = getattr(self._real, name)

            def then_killed(*args: Any, **named: Any) -> Any:
                answer = method(*args, **named)
                made[0] += 1
                if made[0] == times:
                    raise ProcessKilled
                return answer

            return then_killed if name == call else method

    world = stage.world
    stage.replace(databases=Kills(stage.neon), tasks=Kills(world.tasks))
    rollback = stage.admit(given)
    with pytest.raises(ProcessKilled):
        stage.run_until(rollback)
    stage.replace(databases=world.databases, tasks=world.tasks)
    janitor.conclude_execution(rollback.execution, "its execution ended as TIMED_OUT", stage.world)
    for _ in range(40):
        stage.neon.settle()
        stage.pass_time(minutes=1)
        janitor.sweep(stage.world)
    done = stage.read(rollback)
    assert done.concluded_at is not None
    return done


RECREATE = {"type": "database", "pr": 42, "strategy": "recreate"}


@pytest.mark.parametrize(("call", "times"), [("update_branch", 1), ("create_branch", 1)])
def test_the_report_of_a_crashed_recreate_says_which_branch_is_which(call: str, times: int) -> None:
    stage = PreviewStage()
    done = killed_after(stage, call, times, RECREATE)
    old = stage.neon.branch(stage.old)
    assert old is not None
    assert old.name == backup_name(done.id)
    assert done.database is not None
    assert done.database.backup_id == stage.old
    assert done.has_changed_data
    page, new = stage.pages()[-1], stage.neon.branch_named(NAME)
    assert f"backup branch {stage.old}" in page
    if new is None:
        assert f"rename {old.name} back to {NAME}" in page
    else:
        assert f"branch {NAME} is {new.id} now, and {old.name} has the former branch" in page


def test_a_crashed_recreate_whose_renaming_was_refused_left_everything_as_it_was() -> None:
    stage = PreviewStage()
    stage.neon.refuse_next("update_branch", OutcomeUnknown("the connection broke before it was sent"))
    rollback = stage.admit(RECREATE)
    while "update_branch" not in stage.neon.calls:
        rollback = stage.run_due_step(rollback)
    janitor.conclude_execution(rollback.execution, "its execution ended as TIMED_OUT", stage.world)
    for _ in range(40):
        stage.pass_time(minutes=1)
        janitor.sweep(stage.world)
    done = stage.read(rollback)
    assert not done.has_changed_data
    assert stage.services.desired_count == 2
    assert "the data is untouched" in stage.pages()[-1]


def test_a_crashed_deletion_is_reported_and_undo_says_where_the_branch_is() -> None:
    stage = PreviewStage()
    done = killed_after(stage, "delete_branch", 1, {"type": "database", "pr": 42, "strategy": "delete"})
    assert stage.neon.branch(stage.old) is None
    assert done.outcome is Outcome.FAILED
    assert f"branch {NAME} was deleted; Neon's console can recover it for seven days" in stage.pages()[-1]
    undone = stage.read(stage.run({"type": "database", "undo": done.id}, "execution-2"))
    assert undone.outcome is Outcome.REFUSED
    assert "Neon's console can recover it for seven days" in undone.reason


def test_a_down_migration_that_crashed_after_its_task_began_is_followed_to_its_end() -> None:
    stage = stepping_stage(with_way_down(ADDITIVE))
    done = killed_after(stage, "run", 1, None)
    assert done.database is not None
    assert [(run.name, run.exit_code) for run in narrow(done.database, DownMigrationProgress).ran] == [(DROPS.tag, 0)]
    assert done.has_changed_data
    assert f"{DROPS.tag}: exit code 0" in stage.pages()[-1]
    assert f"backup branch {done.database.backup_id}" in stage.pages()[-1]
    assert stage.services.desired_count == 0


def test_a_down_migration_that_crashed_before_its_task_names_the_unneeded_backup() -> None:
    stage = stepping_stage(with_way_down(ADDITIVE))
    done = killed_after(stage, "create_branch", 1, None)
    assert not done.has_changed_data
    assert stage.services.desired_count == 2
    assert f"delete {backup_name(done.id)}: no command ran" in stage.pages()[-1]
