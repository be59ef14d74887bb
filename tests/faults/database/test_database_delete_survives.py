"""Crashes of a deletion: a pull request's branch is deleted once, and no other branch ever is."""

import pytest
from faults.scenarios.branch import NAME, DeleteScenario
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import WORKER
from support.builders import SERVICE

from rollback.domain.database.progress import DatabaseOutcome
from rollback.resources.database.errors import AccessRefused, ProjectLocked, RequestRefused


def count_calls_without_crash() -> int:
    delete = DeleteScenario()
    delete.run_until_ended()
    return delete.outside.calls


CALLS = count_calls_without_crash()


def assert_deleted(delete: DeleteScenario) -> None:
    assert delete.progress.database_outcome is DatabaseOutcome.DELETED, delete.progress.why_not
    assert [branch.id for branch in delete.neon.branches()] == [delete.source_id]
    assert delete.progress.is_over
    assert delete.open_obligations() == ()
    assert delete.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_a_deletion_fences_no_service() -> None:
    delete = DeleteScenario()
    delete.run_until_ended()
    assert_deleted(delete)
    assert delete.neon.calls == ["delete_branch"]
    assert delete.progress.may_have_changed_data


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_a_deletion_killed_at_any_call_and_resumed_deletes_the_branch(kill_at: int, after: bool) -> None:
    delete = DeleteScenario(FaultInjector(kill_at, after=after))
    delete.run_until_ended()
    assert_deleted(delete)


def test_a_deletion_that_lost_its_answer_keeps_a_new_branch_of_the_same_name() -> None:
    delete = DeleteScenario()
    delete.neon.lose_next("delete_branch")
    while delete.old is not None:
        delete.run_round()
    delete.neon.settle()
    delete.neon.create_branch(NAME, delete.source_id)
    delete.run_until_ended()
    assert delete.progress.database_outcome is DatabaseOutcome.DELETED
    assert delete.named is not None
    assert delete.neon.calls == ["delete_branch", "create_branch"]


def test_a_deletion_waits_for_a_locked_project() -> None:
    delete = DeleteScenario()
    delete.neon.refuse_next("delete_branch", ProjectLocked("delete_branch: 423"))
    delete.run_until_ended()
    assert_deleted(delete)


def test_a_deletion_of_a_missing_branch_succeeds() -> None:
    delete = DeleteScenario()
    delete.neon.delete_branch(delete.branch_id)
    delete.neon.settle()
    delete.neon.calls.clear()
    delete.run_until_ended()
    assert_deleted(delete)
    assert delete.neon.calls == []
    assert delete.progress.notes == (f"branch {NAME} was gone already",)
    assert not delete.progress.may_have_changed_data


def test_a_deletion_succeeds_when_another_process_deletes_the_branch() -> None:
    delete = DeleteScenario()
    delete.run_round()
    delete.neon.delete_branch(delete.branch_id)
    delete.run_until_ended()
    assert_deleted(delete)
    assert delete.progress.notes == (f"branch {NAME} was deleted, and not by this rollback",)


def reason_of_refusal(delete: DeleteScenario) -> str:
    delete.neon.settle()
    delete.run_until_ended()
    assert delete.progress.database_outcome is DatabaseOutcome.REFUSED
    assert delete.old is not None
    assert not delete.progress.may_have_changed_data
    return delete.progress.why_not or ""


def test_a_protected_branch_a_parent_and_a_branch_of_no_pull_request_are_not_deleted() -> None:
    delete = DeleteScenario()
    delete.neon.update_branch(delete.branch_id, protected=True)
    assert "is protected" in reason_of_refusal(delete)
    delete = DeleteScenario()
    delete.neon.create_branch("child", delete.branch_id)
    assert "has children (child)" in reason_of_refusal(delete)
    delete = DeleteScenario(settings={"branch_pattern": None, "branch_id": "br-5"})
    assert "a deletion is for pull requests' branches, which branch_pattern names" in reason_of_refusal(delete)
    delete = DeleteScenario()
    delete.plan = delete.plan.model_copy(update={"branch": "main"})
    reason = reason_of_refusal(delete)
    assert "default branch" in reason
    assert "main does not match preview/pr-{pr}" in reason


@pytest.mark.parametrize("error", [RequestRefused("422: it is being archived"), AccessRefused("403: this key may not")])
def test_a_deletion_that_neon_refuses_is_refused_with_neons_words(error: RequestRefused | AccessRefused) -> None:
    delete = DeleteScenario()
    delete.neon.refuse_next("delete_branch", error)
    assert str(error) in reason_of_refusal(delete)


def test_a_deletion_with_an_unknown_api_key_is_refused_with_neons_words() -> None:
    delete = DeleteScenario()

    def unknown(name: str) -> None:
        raise AccessRefused("401: check the API key")

    delete.neon.branch_named = unknown  # type: ignore[method-assign]
    assert "database-is-accessible: 401: check the API key" in reason_of_refusal(delete)
