"""Moves of a restore around sequences and protection, and each reason why a restore can't go on."""

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
from rollback.domain.database.progress import (
    FenceProgress,
    OriginalBranch,
    OverwriteProgress,
    ResetProgress,
    RestorePoint,
    RestoreProgress,
)
from rollback.domain.database.sequences import SequenceValue
from rollback.resources.database.neon import Branch
from rollback.resources.database.postgres import WalPosition
from rollback.resources.database.wal_position import Lsn

HOSTS = ("ep-1.test",)
FENCE = FenceProgress(head=WalPosition(lsn=Lsn(200), at=NOW, timeline="1"))
BEFORE = OriginalBranch(id="br-main", name="main", protected=False, hosts=HOSTS)
SEQUENCES = (SequenceValue(database="app", schema_name="public", name="users_id_seq", last_value=7),)


def branch(name: str = "main", **changes: Any) -> Branch:
    fields = {"current_state": "ready", "default": False, "protected": False, "created_at": NOW, "updated_at": NOW}
    return Branch.model_validate({"id": f"br-{name}", "name": name, **fields, **changes})


def restore(**changes: Any) -> RestoreProgress:
    """A restore behind the fence of an unprotected branch, whose restore point was checked."""
    point = RestorePoint(at=NOW)
    return RestoreProgress(started_at=NOW, point=point, before=BEFORE, fence=FENCE, preview_lsn=Lsn(150)).evolve(
        **changes
    )


def reset(**changes: Any) -> ResetProgress:
    return ResetProgress(started_at=NOW, before=BEFORE, fence=FENCE, source_branch_id="br-staging").evolve(**changes)


def make_snapshot(main: Branch | None = None, **changes: Any) -> RestoreSnapshot:
    return RestoreSnapshot.model_validate({"branch": main or branch(), "hosts": HOSTS, **changes})


BACKUP, PREVIEW = branch("backup"), branch("preview")
RESET = branch(last_reset_at=NOW)
REQUESTED = {"data_change_announced_at": NOW}
ACCEPTED = {**REQUESTED, "backup_id": "br-backup", "accepted_at": NOW}
PROTECTED = BEFORE.model_copy(update={"protected": True})
IP_ALLOW = {"is_ip_allow_protected_only": True}


@pytest.mark.parametrize(
    ("change_progress", "snapshot", "move"),
    [
        (restore(), make_snapshot(), RestoreMove.READ_SEQUENCES),
        (restore(), make_snapshot(preview=PREVIEW), RestoreMove.DELETE_PREVIEW),
        (restore(sequences=()), make_snapshot(), RestoreMove.RESTORE),
        (restore(sequences=SEQUENCES), make_snapshot(branch(protected=True)), RestoreMove.UNPROTECT),
        (restore(**REQUESTED), make_snapshot(), RestoreMove.RESTORE),
        (restore(**REQUESTED, is_sequence_reread_needed=True), make_snapshot(), RestoreMove.READ_SEQUENCES),
        (restore(sequences=SEQUENCES, is_sequence_reread_needed=True), make_snapshot(), RestoreMove.RESTORE),
        (restore(**REQUESTED, is_sequence_reread_needed=True), make_snapshot(RESET), RestoreMove.WAIT_FOR_OPERATIONS),
        (restore(), make_snapshot(backup=BACKUP), RestoreMove.WAIT_FOR_OPERATIONS),
        (restore(preview_lsn=None), make_snapshot(), RestoreMove.CREATE_PREVIEW),
        (reset(), make_snapshot(), RestoreMove.READ_SEQUENCES),
    ],
)
def test_sequences_are_read_once_before_the_request_and_again_only_after_a_new_fence(
    change_progress: OverwriteProgress, snapshot: RestoreSnapshot, move: RestoreMove
) -> None:
    assert next_restore_move(snapshot, change_progress, carries_sequences=True) is move


def test_a_restore_without_continued_sequences_reads_no_sequences() -> None:
    assert next_restore_move(make_snapshot(), restore()) is RestoreMove.RESTORE
    assert (
        next_restore_move(make_snapshot(), restore(**REQUESTED, is_sequence_reread_needed=True)) is RestoreMove.RESTORE
    )


def test_a_reset_to_another_branch_makes_no_preview() -> None:
    assert next_restore_move(make_snapshot(), reset()) is RestoreMove.RESTORE
    assert next_restore_move(make_snapshot(branch(protected=True)), reset()) is RestoreMove.UNPROTECT


@pytest.mark.parametrize(
    ("changes", "move"),
    [
        ({}, RestoreMove.WAIT_FOR_ENDPOINT),
        ({"sequences": SEQUENCES}, RestoreMove.WAIT_FOR_ENDPOINT),
        ({"verified_at": NOW}, RestoreMove.DONE),
        ({"verified_at": NOW, "sequences": ()}, RestoreMove.DONE),
        ({"verified_at": NOW, "sequences": SEQUENCES}, RestoreMove.CARRY_SEQUENCES),
        ({"verified_at": NOW, "sequences": SEQUENCES, "sequences_carried": ()}, RestoreMove.DONE),
    ],
)
def test_sequences_are_continued_once_after_postgres_answers(changes: dict[str, Any], move: RestoreMove) -> None:
    assert next_restore_move(make_snapshot(RESET, backup=BACKUP), restore(**ACCEPTED, **changes)) is move


@pytest.mark.parametrize(
    ("changes", "snapshot", "move"),
    [
        ({"before": PROTECTED}, make_snapshot(RESET, backup=BACKUP), RestoreMove.PROTECT_AGAIN),
        ({"before": PROTECTED, **IP_ALLOW}, make_snapshot(RESET, backup=BACKUP), RestoreMove.PROTECT_AGAIN),
        ({"before": PROTECTED, "is_protection_deferred": True}, make_snapshot(RESET, backup=BACKUP), RestoreMove.DONE),
        (IP_ALLOW, make_snapshot(RESET, backup=BACKUP), RestoreMove.PROTECT_BACKUP),
        ({**IP_ALLOW, "is_backup_protection_settled": True}, make_snapshot(RESET, backup=BACKUP), RestoreMove.DONE),
        (IP_ALLOW, make_snapshot(RESET, backup=branch("backup", protected=True)), RestoreMove.DONE),
        (IP_ALLOW, make_snapshot(RESET), RestoreMove.DONE),
        ({}, make_snapshot(RESET, backup=BACKUP), RestoreMove.DONE),
    ],
)
def test_the_backup_is_protected_after_the_branch_and_only_with_ip_allow(
    changes: dict[str, Any], snapshot: RestoreSnapshot, move: RestoreMove
) -> None:
    assert next_restore_move(snapshot, restore(**ACCEPTED, verified_at=NOW, **changes)) is move


@pytest.mark.parametrize(
    ("change_progress", "snapshot", "move"),
    [
        (restore(**ACCEPTED, **IP_ALLOW, why_not="x"), make_snapshot(RESET, backup=BACKUP), RestoreMove.PROTECT_BACKUP),
        (restore(**IP_ALLOW, why_not="x"), make_snapshot(backup=BACKUP), RestoreMove.END),
        (restore(**ACCEPTED, why_not="x"), make_snapshot(RESET, backup=BACKUP), RestoreMove.END),
        (restore(before=PROTECTED, is_protection_deferred=True, why_not="x"), make_snapshot(), RestoreMove.END),
        (restore(before=PROTECTED), RestoreSnapshot(branch=None), RestoreMove.END),
        (restore(), RestoreSnapshot(branch=None, preview=PREVIEW), RestoreMove.DELETE_PREVIEW),
    ],
)
def test_a_failed_restore_deletes_its_preview_and_protects_the_branch_before_the_end(
    change_progress: RestoreProgress, snapshot: RestoreSnapshot, move: RestoreMove
) -> None:
    assert next_restore_move(snapshot, change_progress) is move


@pytest.mark.parametrize(
    ("snapshot", "is_stuck", "is_busy"),
    [
        (make_snapshot(), False, False),
        (make_snapshot(operations="failed"), False, False),
        (make_snapshot(operations="running"), False, True),
        (make_snapshot(branch(current_state="init")), False, True),
        (make_snapshot(preview=branch("preview", current_state="init")), False, True),
        (make_snapshot(branch(current_state="init"), operations="failed"), True, False),
        (make_snapshot(branch(current_state="init"), operations="running"), False, True),
    ],
)
def test_neon_counts_as_stuck_if_an_operation_failed_and_a_branch_is_not_ready(
    snapshot: RestoreSnapshot, is_stuck: bool, is_busy: bool
) -> None:
    assert (snapshot.is_stuck, snapshot.is_busy) == (is_stuck, is_busy)


CHILD = branch("backup", parent_id="br-main")
OTHER_TIMELINE = RestorePoint(at=NOW, timeline="2")
FAILED = (Check.failed("schema", "a column is missing"), Check.failed("rows", "none"), Check.passed("keys", "all"))
UNREADY = {"main": branch(current_state="init"), "preview": branch("preview", current_state="resetting")}
CHILD_REASON = "there is a branch backup that no rollback created: rename that branch, and start again"
TIMELINE_REASON = "branch main is on another timeline than the restore point: another restore replaced its data"


@pytest.mark.parametrize(
    ("change_progress", "snapshot", "reason"),
    [
        (
            restore(),
            RestoreSnapshot(branch=None),
            "branch main is gone: see in Neon's console who deleted it; Neon can recover it for seven days",
        ),
        (
            restore(),
            make_snapshot(RESET),
            f"branch main was restored at {NOW}, and not by this rollback: check its data in Neon's console",
        ),
        (restore(), make_snapshot(backup=CHILD), CHILD_REASON),
        (restore(**REQUESTED), make_snapshot(backup=CHILD), CHILD_REASON),
        (restore(point=OTHER_TIMELINE), make_snapshot(), TIMELINE_REASON),
        (
            restore(**REQUESTED),
            make_snapshot(**UNREADY, operations="failed"),
            "an operation of Neon failed and is not retried: main is init, preview is resetting; ask Neon's support",
        ),
        (
            restore(schema_checks=FAILED),
            make_snapshot(),
            "the restore point can't be used: schema: a column is missing; rows: none",
        ),
        (
            restore(**ACCEPTED),
            make_snapshot(RESET, hosts=("ep-2.test",), backup=BACKUP),
            "the hosts of main were ('ep-1.test',) and are ('ep-2.test',): services can't connect",
        ),
    ],
)
def test_each_objection_names_the_branch_and_the_action(
    change_progress: RestoreProgress, snapshot: RestoreSnapshot, reason: str
) -> None:
    assert find_restore_objection(snapshot, change_progress) == reason


@pytest.mark.parametrize(
    ("change_progress", "snapshot"),
    [
        (restore(), make_snapshot()),
        (restore(), make_snapshot(backup=BACKUP)),
        (restore(**REQUESTED), make_snapshot(RESET)),
        (restore(backup_id="br-backup"), make_snapshot(RESET)),
        (restore(**ACCEPTED), make_snapshot(RESET, backup=CHILD)),
        (restore(**REQUESTED, point=OTHER_TIMELINE), make_snapshot()),
        (restore(backup_id="br-backup", point=OTHER_TIMELINE), make_snapshot()),
        (restore(), make_snapshot(hosts=("ep-2.test",))),
        (restore(), make_snapshot(operations="failed")),
        (reset(), make_snapshot()),
    ],
)
def test_a_trace_of_our_own_restore_and_earlier_new_hosts_are_no_objection(
    change_progress: OverwriteProgress, snapshot: RestoreSnapshot
) -> None:
    assert find_restore_objection(snapshot, change_progress) is None
