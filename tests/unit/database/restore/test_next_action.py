"""The next move of a restore, decided from Neon's description of the branches."""

from typing import Any

import pytest
from support.builders import NOW

from rollback.check import Check
from rollback.database.restore.next_action import (
    RestoreMove,
    RestoreSnapshot,
    find_restore_objection,
    next_restore_move,
)
from rollback.domain.database.progress import FenceProgress, OriginalBranch, RestorePoint, RestoreProgress
from rollback.resources.database.neon import Branch
from rollback.resources.database.postgres import WalPosition
from rollback.resources.database.wal_position import Lsn

HOSTS = ("ep-1.test",)


def branch(name: str = "main", **changes: Any) -> Branch:
    fields = {"current_state": "ready", "default": False, "protected": True, "created_at": NOW, "updated_at": NOW}
    return Branch.model_validate({"id": f"br-{name}", "name": name, **fields, **changes})


def progress(**changes: Any) -> RestoreProgress:
    """A restore behind the fence, whose branch was protected."""
    restore_progress = RestoreProgress(
        started_at=NOW,
        point=RestorePoint(at=NOW),
        before=OriginalBranch.of(branch(), ()).model_copy(update={"hosts": HOSTS}),
        fence=FenceProgress(head=WalPosition(lsn=Lsn(200), at=NOW)),
    )
    return restore_progress.evolve(**changes)


def make_snapshot(main: Branch | None = None, **changes: Any) -> RestoreSnapshot:
    return RestoreSnapshot.model_validate({"branch": main or branch(), "hosts": HOSTS, **changes})


CHECKED = {"preview_id": "br-preview", "preview_lsn": Lsn(150)}
REQUESTED = {**CHECKED, "data_change_announced_at": NOW}
ACCEPTED = {**REQUESTED, "backup_id": "br-backup", "accepted_at": NOW}
OPEN, RESET = branch(protected=False), branch(protected=False, last_reset_at=NOW)
PROTECTED_AGAIN = branch(last_reset_at=NOW)
PREVIEW, BACKUP = branch("preview", protected=False), branch("backup", protected=False)

TABLE: tuple[tuple[str, RestoreProgress, RestoreSnapshot, RestoreMove], ...] = (
    ("a new restore creates a preview", progress(), make_snapshot(), RestoreMove.CREATE_PREVIEW),
    ("the restore waits for the preview", progress(), make_snapshot(preview=branch("preview", current_state="init")),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("a ready preview is checked", progress(), make_snapshot(preview=PREVIEW), RestoreMove.CHECK_PREVIEW),
    ("a preview would move to the backup", progress(**CHECKED), make_snapshot(preview=PREVIEW),
     RestoreMove.DELETE_PREVIEW),
    ("the restore waits for the deletion of the preview", progress(**CHECKED), make_snapshot(operations="running"),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("a protected branch refuses", progress(**CHECKED), make_snapshot(), RestoreMove.UNPROTECT),
    ("an unprotected branch is restored", progress(**CHECKED), make_snapshot(OPEN), RestoreMove.RESTORE),
    ("requested without effect", progress(**REQUESTED), make_snapshot(OPEN), RestoreMove.RESTORE),
    ("requested and running", progress(**REQUESTED), make_snapshot(OPEN, operations="running"),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("requested and reset, no backup yet", progress(**REQUESTED), make_snapshot(RESET),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("requested, with a backup and no reset yet", progress(**REQUESTED), make_snapshot(OPEN, backup=BACKUP),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("accepted and running", progress(**ACCEPTED),
     make_snapshot(branch(protected=False, last_reset_at=NOW, current_state="resetting"), backup=BACKUP),
     RestoreMove.WAIT_FOR_OPERATIONS),
    ("protection precedes the endpoint check", progress(**ACCEPTED), make_snapshot(RESET, backup=BACKUP),
     RestoreMove.PROTECT_AGAIN),
    ("the endpoint must answer", progress(**ACCEPTED), make_snapshot(PROTECTED_AGAIN, backup=BACKUP),
     RestoreMove.WAIT_FOR_ENDPOINT),
    ("restored", progress(**ACCEPTED, verified_at=NOW), make_snapshot(PROTECTED_AGAIN, backup=BACKUP),
     RestoreMove.DONE),
    ("failed with a preview", progress(why_not="x"), make_snapshot(preview=PREVIEW), RestoreMove.DELETE_PREVIEW),
    ("failed without protection", progress(**CHECKED, why_not="x"), make_snapshot(OPEN), RestoreMove.PROTECT_AGAIN),
    ("failed during a failed restore", progress(**ACCEPTED, why_not="x"),
     make_snapshot(branch(protected=False, current_state="resetting"), operations="failed"), RestoreMove.PROTECT_AGAIN),
    ("failed, and nothing is left to remove", progress(why_not="x"), make_snapshot(), RestoreMove.END),
    ("failed, and the branch was deleted", progress(why_not="x"), RestoreSnapshot(branch=None), RestoreMove.END),
)  # fmt: skip


@pytest.mark.parametrize(("situation", "change_progress", "snapshot", "move"), TABLE, ids=[row[0] for row in TABLE])
def test_the_next_restore_move_follows_from_neons_description(
    situation: str, change_progress: RestoreProgress, snapshot: RestoreSnapshot, move: RestoreMove
) -> None:
    assert next_restore_move(snapshot, change_progress) is move


def test_a_branch_that_was_never_protected_stays_unprotected() -> None:
    open_before = progress(
        **ACCEPTED, before=OriginalBranch(name="main", protected=False, hosts=HOSTS), verified_at=NOW
    )
    assert next_restore_move(make_snapshot(RESET, backup=BACKUP), open_before) is RestoreMove.DONE


@pytest.mark.parametrize(("situation", "change_progress", "snapshot", "move"), TABLE, ids=[row[0] for row in TABLE])
def test_only_a_branch_that_is_neither_reset_nor_backed_up_is_ever_restored(
    situation: str, change_progress: RestoreProgress, snapshot: RestoreSnapshot, move: RestoreMove
) -> None:
    reset = snapshot.model_copy(update={"branch": RESET})
    snapshot_with_backup = snapshot.model_copy(update={"backup": BACKUP})
    assert next_restore_move(reset, change_progress) is not RestoreMove.RESTORE
    assert next_restore_move(snapshot_with_backup, change_progress) is not RestoreMove.RESTORE


FAILING = Check.failed("schema", "a column is missing")


@pytest.mark.parametrize(
    ("change_progress", "snapshot", "text"),
    [
        (progress(), RestoreSnapshot(branch=None), "branch main is gone"),
        (progress(), make_snapshot(PROTECTED_AGAIN), "and not by this rollback"),
        (
            progress(**REQUESTED),
            make_snapshot(branch(current_state="resetting"), operations="failed"),
            "main is resetting",
        ),
        (progress(schema_checks=(FAILING,)), make_snapshot(preview=PREVIEW), "schema: a column is missing"),
        (
            progress(**ACCEPTED),
            make_snapshot(PROTECTED_AGAIN, hosts=("ep-2.test",), backup=BACKUP),
            "services can't connect",
        ),
    ],
)
def test_a_restore_that_can_not_succeed_gives_the_reason(
    change_progress: RestoreProgress, snapshot: RestoreSnapshot, text: str
) -> None:
    assert text in (find_restore_objection(snapshot, change_progress) or "")


def test_our_own_reset_and_a_failed_intermediate_operation_are_no_objection() -> None:
    assert find_restore_objection(make_snapshot(RESET), progress(**REQUESTED)) is None
    assert (
        find_restore_objection(make_snapshot(PROTECTED_AGAIN, operations="failed", backup=BACKUP), progress(**ACCEPTED))
        is None
    )


def test_a_progress_round_trips_through_json() -> None:
    stored = progress(**ACCEPTED, verified_at=NOW, schema_checks=(FAILING,)).record_move(RestoreMove.RESTORE)
    assert RestoreProgress.model_validate_json(stored.model_dump_json()) == stored
