"""The next move of down-migrations: newest first, each once, and stopped before the change fails."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW, release, rollback

from rollback.database.down_migrations.next_action import (
    Command,
    DownMigrationMove,
    DownMigrationSnapshot,
    build_commands,
    find_down_migration_objection,
    next_down_migration_move,
)
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import CommandRun, DatabaseOutcome, DownMigrationProgress, OriginalBranch
from rollback.domain.plan import Plan
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.reports.database import format_database
from rollback.resources.aws.ecs_task import without_passwords
from rollback.resources.database.neon import Branch

TAGS = ("0003_nick", "0002_teams")
COMMANDS = tuple(Command(tag, ("down", tag)) for tag in TAGS)
LIMIT = timedelta(minutes=10)


def branch(identity: str, name: str, state: str = "ready") -> Branch:
    fields: dict[str, Any] = {
        "id": identity,
        "name": name,
        "current_state": state,
        "default": False,
        "protected": False,
    }
    return Branch(created_at=NOW, updated_at=NOW, **fields)


MAIN, BACKUP = branch("br-main", "main"), branch("br-backup", "rollback-backup-1")


def run(tag: str, **changes: Any) -> CommandRun:
    """Build a run, by default a successful one."""
    fields = {"name": tag, "arn": f"task/{tag}", "asked_at": NOW, "started": True, "ended_at": NOW, "exit_code": 0}
    return CommandRun.model_validate({**fields, **changes})


def progress(*runs: CommandRun, **changes: Any) -> DownMigrationProgress:
    original_branch = OriginalBranch(id="br-main", name="main", protected=True)
    return DownMigrationProgress(started_at=NOW, before=original_branch, ran=runs, **changes)


def settings(**changes: Any) -> DatabaseSettings:
    fields = {
        "project_id": "p", "branch_id": "br-main",
        "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
    }  # fmt: skip
    return DatabaseSettings.model_validate({**fields, **changes})


def test_the_tag_replaces_the_placeholder_of_the_command_and_the_verification_is_last() -> None:
    set_ = settings(down_command=("sh", "-c", "migrate down {tag} && echo {tag}"), verify_command=("verify",))
    assert build_commands(set_, TAGS[:1]) == (
        Command("0003_nick", ("sh", "-c", "migrate down 0003_nick && echo 0003_nick")),
        Command("verify", ("verify",)),
    )
    assert [command.name for command in build_commands(settings(down_command=("down", "{tag}")), TAGS)] == list(TAGS)


def test_the_report_lists_the_migrations_that_ran_and_that_are_still_applied() -> None:
    failed_run = run(TAGS[1], exit_code=1, logs=("relation is locked",))
    objection = find_down_migration_objection(
        DownMigrationSnapshot(branch=MAIN, backup=BACKUP), progress(run(TAGS[0]), failed_run), COMMANDS, NOW, LIMIT
    )
    assert objection == (
        "0002_teams ended with exit code 1: relation is locked; stepped down: 0003_nick; perhaps: 0002_teams"
    )
    unfinished_run = run(TAGS[0], exit_code=None, reason="ECS no longer describes the task")
    objection = find_down_migration_objection(
        DownMigrationSnapshot(branch=MAIN, backup=BACKUP), progress(unfinished_run), COMMANDS, NOW, LIMIT
    )
    assert objection is not None
    assert "without an exit code: ECS no longer describes the task" in objection
    assert "still applied: 0002_teams" in objection


@pytest.mark.parametrize(
    ("line", "kept_line"),
    [
        ("no session with postgresql://owner:s3cret@ep-1.neon.tech/app", "no session with postgresql://…@ep-1.neon.tech/app"),
        ("see https://neon.com/docs, or ask a@b.c", "see https://neon.com/docs, or ask a@b.c"),
    ],
)  # fmt: skip
def test_passwords_in_a_log_are_removed(line: str, kept_line: str) -> None:
    assert without_passwords(line) == kept_line


def test_the_report_has_the_exit_codes_the_last_log_lines_and_the_next_action() -> None:
    failed_run = run(TAGS[1], exit_code=3, logs=("ERROR it is locked",))
    change_progress = progress(run(TAGS[0]), failed_run, notes=("delete it",)).mark_failed("0002_teams failed", NOW)
    plan = DatabasePlan(strategy=Strategy.DOWN_MIGRATIONS, branch="br-main", migrations=TAGS)
    document = rollback(
        plan=Plan(running=release("v2"), target=release("v1"), database=plan, checks=()),
        database=change_progress.ended(DatabaseOutcome.FAILED, NOW),
    )
    lines = format_database(document)
    assert "  0003_nick: exit code 0" in lines
    assert lines[lines.index("  0002_teams: exit code 3") + 1] == "    ERROR it is locked"
    assert "  delete it" in lines


runs = st.lists(st.booleans(), max_size=2).map(
    lambda ended: tuple(
        run(TAGS[at], ended_at=NOW if over else None, exit_code=0 if over else None) for at, over in enumerate(ended)
    )
)


@given(
    runs, st.sampled_from([None, BACKUP]), st.none() | st.just("too late"), st.sampled_from(["running", "succeeded"])
)
def test_no_command_runs_beside_another_without_a_backup_or_after_the_change_failed(
    runs: tuple[CommandRun, ...], backup: Branch | None, failure_reason: str | None, operations: Any
) -> None:
    change_progress = progress(*runs, why_not=failure_reason)
    snapshot = DownMigrationSnapshot(branch=MAIN, backup=backup, operations=operations)
    move = next_down_migration_move(snapshot, change_progress, COMMANDS, None)
    if move is DownMigrationMove.RUN_COMMAND:
        assert backup is not None
        assert failure_reason is None
        assert all(run.ended_at is not None for run in runs)
        assert len(runs) < len(COMMANDS)
    if move in (DownMigrationMove.END, DownMigrationMove.DONE, DownMigrationMove.DELETE_BACKUP):
        assert not runs or runs[-1].ended_at is not None, "a task that runs is stopped first"
