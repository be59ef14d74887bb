"""Down-migrations and recreate through the whole route: from the request to the report."""

from typing import Any

import pytest
from builders import image
from fake_tasks import FakeTasks
from fakes import FakeSecrets
from pydantic import SecretStr
from stage_with_database import ADDS, BAD, BEFORE, BRANCH, DROPS, FIRST, GOOD, StageWithDatabase, applied
from worlds import DEGRADED

from rollback.model.connection_secret import has_uri
from rollback.model.database_progress import backup_name
from rollback.model.database_settings import Strategy
from rollback.model.release_schema import ShippedMigration
from rollback.model.rollback import Outcome, Rollback
from rollback.model.statement_impact import ADDITIVE, MigrationImpact, breaking

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pr-42-AbCdEf"
NAME = "preview/pr-42"


def with_way_down(impact: MigrationImpact | None) -> ShippedMigration:
    return DROPS.model_copy(update={"has_down": impact is not None, "down_impact": impact})


def stepping_stage(second: ShippedMigration, strategy: Strategy = Strategy.AUTO, code: int = 0) -> StageWithDatabase:
    """v2's image has a command that takes the dropped column back."""
    stage = StageWithDatabase(second=DROPS, checkpoint=False, strategy=strategy, down_command=("down", "{tag}"))
    tasks = FakeTasks()

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


def ended(stage: StageWithDatabase, given: Any = None) -> Rollback:
    return stage.read(stage.run(given))


def test_auto_steps_down_where_that_loses_nothing_and_no_row_is_lost() -> None:
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
    assert [(run.name, run.exit_code) for run in rollback.database.ran] == [(DROPS.tag, 0)]
    backup = stage.backup(rollback)
    assert backup is not None
    assert f"{DROPS.tag}: exit code 0" in stage.notifications.sent[-1].message
    assert rollback.open_obligations() == ()


def test_a_way_down_that_fails_leaves_nothing_running_on_what_may_be_half_done() -> None:
    stage = stepping_stage(with_way_down(ADDITIVE), code=3)
    rollback = ended(stage)
    assert rollback.outcome is Outcome.FAILED
    assert f"{DROPS.tag} ended with exit code 3: ERROR the column is there already" in rollback.reason
    assert stage.services.desired_count == 0
    assert stage.rows() == GOOD + BAD
    assert f"perhaps: {DROPS.tag}" in stage.pages()[0]


@pytest.mark.parametrize("down", [None, breaking("drop column email")])
def test_auto_restores_where_stepping_down_would_lose_something(down: MigrationImpact | None) -> None:
    stage = StageWithDatabase(second=DROPS, strategy=Strategy.AUTO, down_command=("down", "{tag}"))
    stage.checkpoint("v2", (FIRST, with_way_down(down)))
    rollback = ended(stage)
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    assert rollback.plan.database.strategy is Strategy.RESTORE
    assert "a restore, since" in stage.check(rollback, "strategy").reason


class PreviewStage(StageWithDatabase):
    """Pull request 42 has a branch of main's, with a row of its own; the service knows it from a secret."""

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

    def known_address(self) -> SecretStr:
        return self.secrets.values[SECRET]


def test_a_preview_is_recreated_when_asked_and_the_service_starts_with_the_new_address() -> None:
    stage = PreviewStage()
    desired, running = stage.services.desired_count, stage.running()
    rollback = ended(stage, {"type": "database", "pr": 42, "strategy": "recreate"})
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    new = stage.neon.branch_named(NAME)
    assert new is not None
    assert new.id != stage.old
    assert has_uri(stage.known_address(), None, stage.neon.connection_uri(new.id, "app", "owner"))
    assert stage.neon.rows(new.id) == GOOD + BAD
    old = stage.neon.branch(stage.old)
    assert old is not None
    assert (old.name, stage.neon.rows(old.id)) == (backup_name(rollback.id), [*GOOD, *BAD, 42])
    assert (stage.services.desired_count, stage.running()) == (desired, running)
    assert rollback.database is not None
    assert rollback.database.lost is not None
    assert [table.removed_keys for table in rollback.database.lost.tables] == [("42",)]


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
