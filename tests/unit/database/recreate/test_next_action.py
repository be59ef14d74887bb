"""The next move of a recreate: no data is lost in any situation, and no foreign branch is deleted."""

from datetime import timedelta
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW, release, rollback

from rollback.database.recreate.next_action import (
    RecreateMove,
    RecreateSnapshot,
    find_recreate_objection,
    next_recreate_move,
)
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import OriginalBranch, RecreateProgress
from rollback.domain.plan import Plan
from rollback.domain.settings.database import Strategy
from rollback.reports.database import format_database
from rollback.resources.database.neon import Branch

NAME, BACKUP = "preview/pr-42", "rollback-backup-1"
UNTIL = NOW + timedelta(days=7)


def branch(identity: str, name: str, state: str = "ready", **more: Any) -> Branch:
    fields = {"id": identity, "name": name, "current_state": state, "default": False, "protected": False, **more}
    return Branch(created_at=NOW, updated_at=NOW, **fields)


def progress(**changes: Any) -> RecreateProgress:
    original_branch = OriginalBranch(id="br-old", name=NAME, protected=False)
    return RecreateProgress(started_at=NOW, before=original_branch, source_branch_id="br-source", **changes)


def test_a_recreate_renames_creates_checks_writes_the_secret_and_expires_in_this_order() -> None:
    old_branch, new_branch = branch("br-old", BACKUP), branch("br-new", NAME)
    expiring_branch = branch("br-old", BACKUP, expires_at=UNTIL)
    change_before_check = progress(branch_id="br-new")
    change_after_check = progress(branch_id="br-new", verified_at=NOW)
    situations = [
        (RecreateSnapshot(old=branch("br-old", NAME), addressed_branch="old"), progress()),
        (RecreateSnapshot(old=old_branch, addressed_branch="old"), progress()),
        (RecreateSnapshot(old=old_branch, named=new_branch, addressed_branch="old"), change_before_check),
        (RecreateSnapshot(old=old_branch, named=new_branch, addressed_branch="old"), change_after_check),
        (RecreateSnapshot(old=old_branch, named=new_branch, addressed_branch="new"), change_after_check),
        (RecreateSnapshot(old=expiring_branch, named=new_branch, addressed_branch="new"), change_after_check),
    ]
    moves = [next_recreate_move(snapshot, change, BACKUP, UNTIL) for snapshot, change in situations]
    assert moves == [
        RecreateMove.RENAME_OLD, RecreateMove.CREATE_NEW, RecreateMove.CHECK_NEW, RecreateMove.WRITE_SECRET,
        RecreateMove.EXPIRE_OLD, RecreateMove.DONE,
    ]  # fmt: skip


def test_a_failed_recreate_names_the_foreign_change() -> None:
    old_branch = branch("br-old", BACKUP)
    situations = {
        "is gone": (RecreateSnapshot(old=None), progress()),
        "was renamed to mine": (RecreateSnapshot(old=branch("br-old", "mine")), progress()),
        "was created during the rollback": (RecreateSnapshot(old=old_branch, named=branch("br-x", NAME)), progress()),
        "was deleted during the rollback": (RecreateSnapshot(old=old_branch), progress(branch_id="br-new")),
    }
    for text, (snapshot, change_progress) in situations.items():
        assert text in (find_recreate_objection(snapshot, change_progress, BACKUP) or "")
    assert find_recreate_objection(RecreateSnapshot(old=old_branch), progress(), BACKUP) is None


ADDRESSES: tuple[Literal["none", "old", "new", "unknown"], ...] = ("none", "old", "new", "unknown")
branches = st.none() | st.builds(
    branch, st.sampled_from(["br-old", "br-new", "br-others"]), st.sampled_from([NAME, BACKUP, "mine"]),
    st.sampled_from(["ready", "init"]),
)  # fmt: skip
snapshots = st.builds(
    RecreateSnapshot, old=branches, named=branches, addressed_branch=st.sampled_from(ADDRESSES),
    operations=st.sampled_from(["running", "succeeded", "failed"]),
)  # fmt: skip
progresses = st.builds(
    progress, branch_id=st.none() | st.just("br-new"), verified_at=st.none() | st.just(NOW),
    is_redeploy_needed=st.booleans(), why_not=st.none() | st.just("too late"), is_expiry_settled=st.booleans(),
)  # fmt: skip


@given(snapshots, progresses)
def test_a_recreate_deletes_only_its_own_new_branch_and_never_a_branch_in_the_secret(
    snapshot: RecreateSnapshot, change_progress: RecreateProgress
) -> None:
    move = next_recreate_move(snapshot, change_progress, BACKUP, UNTIL)
    if move is RecreateMove.DELETE_NEW:
        assert snapshot.named is not None
        assert snapshot.named.id == change_progress.branch_id
        assert change_progress.why_not is not None or snapshot.old is None
        assert snapshot.addressed_branch != "new"
    if move is RecreateMove.RENAME_BACK:
        assert snapshot.named is None
        assert snapshot.addressed_branch != "new"
    if move is RecreateMove.CREATE_NEW:
        assert snapshot.old is not None
        assert (snapshot.old.name, snapshot.named) == (BACKUP, None), "the data is under the backup's name before"
    if move is RecreateMove.EXPIRE_OLD:
        assert snapshot.addressed_branch in ("none", "new"), "no service is left on a branch that is to be deleted"


def test_the_report_says_that_tasks_with_the_old_secret_must_be_replaced() -> None:
    plan = DatabasePlan(strategy=Strategy.RECREATE, branch=NAME, source_branch_id="br-source")
    document = rollback(
        plan=Plan(running=release("v2"), target=release("v1"), database=plan, checks=()),
        database=progress(is_redeploy_needed=True),
    )
    assert any(
        "force a new deployment of every service with tasks started before" in line
        for line in format_database(document)
    )
