"""A rollback waits only for its own operations: Neon's maintenance and other operators' may take half an hour."""

from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.branch import RecreateScenario
from faults.scenarios.database import GOOD, WORKER, ResetScenario, RestoreScenario
from support.builders import NOW, SERVICE

from rollback.database.preflight.own_operations import (
    changes_data,
    find_own_operation_ids,
    has_restore_evidence,
    is_blocking,
)
from rollback.domain.database.progress import (
    DatabaseIntent,
    DatabaseOutcome,
    OriginalBranch,
    RestorePoint,
    RestoreProgress,
)
from rollback.domain.rollback import Outcome
from rollback.resources.database.errors import OutcomeUnknown
from rollback.resources.database.neon import Branch, BranchChange, Operation


def operation(action: str, identity: str = "op", **changes: Any) -> Operation:
    fields = {"status": "running", "created_at": NOW, "updated_at": NOW, "branch_id": "br-main"}
    return Operation.model_validate({"id": identity, "action": action, **fields, **changes})


def add_foreign_operation(restore: RestoreScenario, action: str, status: str = "running") -> None:
    """Let Neon list an operation of another party on the branch itself that never ends."""
    list_operations, describe_operation = restore.neon.operations_since, restore.neon.operation
    foreign_operation = operation(action, "theirs", branch_id=restore.branch_id, status=status)

    def now() -> Operation:
        at = restore.clock.now() - timedelta(minutes=5 if status == "failed" else 0)
        return foreign_operation.model_copy(update={"created_at": at, "updated_at": at})

    restore.neon.operations_since = lambda since: (now(), *list_operations(since))  # type: ignore[method-assign]

    def operation_now(operation_id: str) -> Operation:
        return now() if operation_id == "theirs" else describe_operation(operation_id)

    restore.neon.operation = operation_now  # type: ignore[method-assign]


@pytest.mark.parametrize("action", ["detach_parent_branch", "apply_storage_config", "an_action_of_tomorrow"])
@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_a_foreign_operation_does_not_delay_a_rollback(action: str, is_answer_lost: bool) -> None:
    """`detach_parent_branch` may take 25 minutes on a branch that is ready."""
    restore = RestoreScenario()
    add_foreign_operation(restore, action)
    if is_answer_lost:
        restore.neon.lose_next("restore")
    began = restore.clock.now()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.rows(restore.branch_id) == GOOD
    assert restore.branch.protected
    assert restore.clock.now() - began < timedelta(minutes=5)
    restore.unfence(Outcome.SUCCEEDED)
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_a_failed_foreign_operation_does_not_fail_a_rollback() -> None:
    reset = ResetScenario()
    add_foreign_operation(reset, "apply_config", "failed")
    reset.run_until_ended()
    assert reset.progress.database_outcome is DatabaseOutcome.RESTORED, reset.progress.why_not


BRANCH = Branch(
    id="br-main", name="main", current_state="ready", default=True, protected=False, created_at=NOW, updated_at=NOW
)
BUSY = BRANCH.model_copy(update={"current_state": "resetting"})


def progress(**changes: Any) -> RestoreProgress:
    restore_progress = RestoreProgress(
        point=RestorePoint(at=NOW), started_at=NOW, before=OriginalBranch.of(BRANCH, ()), operation_ids=("told",)
    )
    return restore_progress.evolve(**changes)


def test_operations_on_our_branches_after_a_lost_answer_count_as_own_operations() -> None:
    announced = progress(intent=DatabaseIntent(action="restore", at=NOW))
    operations = (
        operation("create_timeline", "ours"),
        operation("detach_parent_branch", "neons"),
        operation("create_branch", "of-another-branch", branch_id="br-staging"),
        operation("create_timeline", "of-before", created_at=NOW - timedelta(minutes=5)),
    )
    assert find_own_operation_ids(announced, operations, {"br-main"}) == {"told", "ours"}
    assert find_own_operation_ids(progress(), operations, {"br-main"}) == {"told"}
    assert find_own_operation_ids(progress(confirmed_since=NOW), operations, {"br-main"}) == {"told", "ours"}


@pytest.mark.parametrize("scenario", [RestoreScenario, RecreateScenario])
def test_operations_of_a_change_that_timed_out_count_as_own_operations(scenario: type[RestoreScenario]) -> None:
    """The answer is given up after the adapter's 60 seconds, and Neon's clock is a second behind ours."""
    change = scenario()
    create_branch = change.neon.create_branch

    def lose_answer(*args: Any, **kwargs: Any) -> BranchChange:
        create_branch(*args, **kwargs)
        change.clock.pass_time(seconds=61)
        raise OutcomeUnknown("create_branch got no answer")

    change.neon.create_branch = lose_answer  # type: ignore[method-assign]
    while "create_branch" not in change.neon.calls:
        change.run_round()
    operations = [o for o in change.neon.operations_since(change.progress.started_at) if o.action == "create_branch"]
    own_ids = find_own_operation_ids(change.progress, operations, {operations[-1].branch_id})
    assert operations[-1].id in own_ids


def test_a_rollback_waits_for_its_own_operation_until_the_branch_is_ready() -> None:
    own_operation = operation("start_compute")
    assert is_blocking(own_operation, [BRANCH], NOW + timedelta(minutes=2))
    assert not is_blocking(own_operation, [BRANCH], NOW + timedelta(minutes=4))
    assert is_blocking(own_operation, [BUSY], NOW + timedelta(minutes=4))
    assert not is_blocking(operation("detach_parent_branch"), [BRANCH], NOW)


def test_new_storage_of_the_branch_since_the_request_proves_a_restore() -> None:
    at = NOW + timedelta(milliseconds=700)  # Neon's times are in whole seconds
    assert has_restore_evidence([operation("create_timeline")], "br-main", at)
    assert not has_restore_evidence([operation("suspend_compute")], "br-main", at)
    assert not has_restore_evidence([operation("create_timeline")], "br-other", at)
    assert not has_restore_evidence([operation("create_timeline")], "br-main", NOW + timedelta(seconds=1))
    assert not has_restore_evidence([operation("create_timeline")], "br-main", None)


def test_a_starting_compute_does_not_change_a_sources_data_and_an_unknown_action_may_change_the_data() -> None:
    assert not any(map(changes_data, (operation("start_compute"), operation("detach_parent_branch"))))
    assert all(map(changes_data, (operation("import_data"), operation("an_action_of_tomorrow"))))
