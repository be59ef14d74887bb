"""Acceptance of a restore: Neon kept the state before under our name, with or without `last_reset_at`."""

from typing import Any

import pytest
from faults.scenarios.database import BAD, GOOD, STAGED, WORKER, ResetScenario, RestoreScenario
from faults.scenarios.database_endings import assert_refused
from support.builders import NOW, SERVICE

from rollback.database.restore.next_action import is_accepted, is_restore_request_lost
from rollback.domain.database.progress import (
    DatabaseOutcome,
    OriginalBranch,
    RestorePoint,
    RestoreProgress,
    backup_name,
    preview_name,
)
from rollback.resources.database.errors import OutcomeUnknown
from rollback.resources.database.neon import Branch


def without_last_reset_at(restore: RestoreScenario) -> RestoreScenario:
    """Remove `last_reset_at`: no documentation says that a restore of a branch to its own past sets this field."""
    real = restore.neon._update

    def update(branch_id: str, **changes: Any) -> None:
        changes.pop("last_reset_at", None)
        real(branch_id, **changes)

    restore.neon._update = update  # type: ignore[method-assign]
    return restore


@pytest.mark.parametrize("is_answer_lost", [False, True])
@pytest.mark.parametrize("kind", [RestoreScenario, ResetScenario])
def test_a_restore_without_last_reset_at_counts_as_accepted(kind: type[RestoreScenario], is_answer_lost: bool) -> None:
    restore = without_last_reset_at(kind())
    if is_answer_lost:
        restore.neon.lose_next("restore")
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.calls.count("restore") == 1
    assert restore.branch.protected
    assert restore.backup is not None
    assert restore.progress.backup_id == restore.backup.id


@pytest.mark.parametrize("name_of", [backup_name, preview_name])
def test_an_existing_branch_with_a_name_of_ours_refuses_the_restore_before_a_service_is_stopped(name_of: Any) -> None:
    restore = RestoreScenario()
    restore.neon.create_branch(name_of(restore.id), restore.branch_id)
    restore.neon.settle()
    restore.neon.calls.clear()
    restore.set_force()  # force lets children move, and overrides no taken name
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert f"branch-names-are-free: the project already has a branch {name_of(restore.id)}" in (
        restore.progress.why_not or ""
    )
    assert restore.neon.calls == []
    assert restore.open_obligations() == ()


def test_an_operators_branch_with_the_name_of_the_backup_proves_no_restore() -> None:
    restore = RestoreScenario()
    while "delete_branch" not in restore.neon.calls:
        restore.run_round()
    restore.neon.settle()
    restore.neon.create_branch(backup_name(restore.id), restore.branch_id)
    restore.neon.settle()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED, restore.progress.why_not
    assert "that no rollback created: rename that branch" in (restore.progress.why_not or "")
    assert restore.neon.rows(restore.branch_id) == GOOD + BAD
    assert "restore" not in restore.neon.calls
    restore.unfence()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_an_operators_branch_created_between_observation_and_restore_proves_no_acceptance() -> None:
    """Neon answers 409, as it does to a request that it has carried out already."""
    restore = RestoreScenario()
    while restore.progress_if_started is None or restore.progress_if_started.data_change_announced_at is None:
        restore.run_round()
    restore.neon.create_branch(backup_name(restore.id), restore.branch_id)
    restore.neon.settle()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED, restore.progress.why_not
    assert restore.neon.rows(restore.branch_id) == GOOD + BAD


def test_a_restore_whose_request_never_arrives_is_refused_and_services_start() -> None:
    restore = RestoreScenario()

    def fail_without_answer(*_: object, **__: object) -> Any:
        raise OutcomeUnknown("524")

    restore.neon.restore = fail_without_answer  # type: ignore[method-assign]
    assert_refused(restore, "its last move was restore")
    restore.unfence()
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def branch(name: str, **more: Any) -> Branch:
    fields = {"current_state": "ready", "default": False, "protected": False, "created_at": NOW, "updated_at": NOW}
    return Branch.model_validate({"id": f"br-{name}", "name": name, **fields, **more})


def requested_restore(branch_before: Branch, **changes: Any) -> RestoreProgress:
    progress = RestoreProgress(started_at=NOW, point=RestorePoint(at=NOW), before=OriginalBranch.of(branch_before, ()))
    return progress.evolve(data_change_announced_at=NOW).evolve(**changes)


ROOT, CHILD = branch("main"), branch("staging", parent_id="br-main")
BACKUP_OF_ROOT, BACKUP_OF_CHILD = branch("backup"), branch("backup", parent_id="br-main")
OPERATORS_CHILD = branch("backup", parent_id="br-main")
OPERATORS_CHILD_OF_CHILD = branch("backup", parent_id="br-staging")
RESET = {"last_reset_at": NOW}

TABLE = (
    ("the backup of a root is a root, which only a restore can create", requested_restore(ROOT), ROOT, BACKUP_OF_ROOT,
     False, True),
    ("an operator's child of a root", requested_restore(ROOT), ROOT, OPERATORS_CHILD, False, False),
    ("an operator's child although Neon answered", requested_restore(ROOT, restore_answered_at=NOW), ROOT,
     OPERATORS_CHILD, False, False),
    ("no backup", requested_restore(ROOT), branch("main", **RESET), None, True, False),
    ("no restore was requested", requested_restore(ROOT, data_change_announced_at=None), ROOT, BACKUP_OF_ROOT,
     True, False),
    ("a root with the backup's name is no backup of a child", requested_restore(CHILD), CHILD, BACKUP_OF_ROOT, False,
     False),
    ("a child's backup alone may be an operator's", requested_restore(CHILD), CHILD, BACKUP_OF_CHILD, False, False),
    ("a child's backup and Neon's answer", requested_restore(CHILD, restore_answered_at=NOW), CHILD, BACKUP_OF_CHILD,
     False, True),
    ("a child's backup and last_reset_at", requested_restore(CHILD), branch("staging", parent_id="br-main", **RESET),
     BACKUP_OF_CHILD, False, True),
    ("a child's backup and operations", requested_restore(CHILD), CHILD, BACKUP_OF_CHILD, True, True),
    ("an operator's child of a child, with operations", requested_restore(CHILD), CHILD, OPERATORS_CHILD_OF_CHILD,
     True, False),
)  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "progress", "branch", "backup", "has_begun", "accepted"), TABLE, ids=[row[0] for row in TABLE]
)
def test_the_backup_proves_acceptance_with_a_second_trace_if_an_operator_could_have_made_it(
    situation: str, progress: RestoreProgress, branch: Branch, backup: Branch | None, has_begun: bool, accepted: bool
) -> None:
    assert is_accepted(progress, branch, backup, has_begun=has_begun) is accepted


def test_a_restore_request_is_lost_only_without_any_trace() -> None:
    assert is_restore_request_lost(requested_restore(ROOT), ROOT, None, has_begun=False)
    assert is_restore_request_lost(requested_restore(ROOT), ROOT, OPERATORS_CHILD, has_begun=False)
    assert not is_restore_request_lost(requested_restore(ROOT), ROOT, None, has_begun=True)
    assert not is_restore_request_lost(requested_restore(ROOT), branch("main", **RESET), None, has_begun=False)
    assert not is_restore_request_lost(requested_restore(ROOT, restore_answered_at=NOW), ROOT, None, has_begun=False)
    assert not is_restore_request_lost(requested_restore(CHILD), CHILD, BACKUP_OF_CHILD, has_begun=False)


def test_a_reset_without_last_reset_at_has_the_rows_of_the_source() -> None:
    reset = without_last_reset_at(ResetScenario())
    reset.run_until_ended()
    assert reset.neon.rows(reset.branch_id) == GOOD + BAD
    assert reset.backup is not None
    assert reset.neon.rows(reset.backup.id) == [*GOOD, *BAD, STAGED]
