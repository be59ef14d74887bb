"""State of a Neon project: WAL positions, restore windows, operations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollback.adapters.neon.errors import translate_response
from rollback.errors import ExternalServiceError
from rollback.resources.database.neon import Branch, Operation, Project, restore_window
from rollback.resources.database.wal_position import Lsn, rfc3339

NOW = datetime(2026, 3, 1, 3, 0, 0, 500_000, tzinfo=UTC)
HOUR = timedelta(hours=1)


def branch(**changes: Any) -> Branch:
    fields = {"id": "br-1", "name": "main", "current_state": "ready", "default": True, "protected": False,
             "created_at": NOW - 48 * HOUR, "updated_at": NOW, **changes}  # fmt: skip
    return Branch.model_validate(fields)


def operation(status: str, age: timedelta = timedelta(0)) -> Operation:
    return Operation(id="o", action="new_kind", status=status, created_at=NOW - age, updated_at=NOW - age)


def test_wal_positions_are_ordered_as_numbers() -> None:
    assert Lsn.parse("0/9FFFFFFF") < Lsn.parse("1/0") < Lsn.parse("A/16B3748")
    assert str(Lsn.parse("A/16B3748")) == "A/16B3748"


@pytest.mark.parametrize("text", ["", "16B3748", "0/xyz", "2026-03-01"])
def test_an_invalid_wal_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"LSN|literal"):
        Lsn.parse(text)


def test_a_time_is_sent_in_utc_to_the_millisecond() -> None:
    assert rfc3339(NOW) == "2026-03-01T03:00:00.500Z"


def test_an_lsn_is_text_in_a_document() -> None:
    parsed_branch = branch(parent_id="br-0", parent_lsn="0/16B3748")
    assert parsed_branch.model_dump(mode="json")["parent_lsn"] == "0/16B3748"
    assert Branch.model_validate_json(parsed_branch.model_dump_json()) == parsed_branch


def test_an_empty_field_of_neon_is_absent() -> None:
    parsed_branch = branch(parent_id="", parent_lsn="", parent_timestamp="", last_reset_at="")
    assert (parsed_branch.parent_lsn, parsed_branch.parent_timestamp, parsed_branch.last_reset_at) == (None, None, None)
    assert parsed_branch.is_root


@pytest.mark.parametrize(
    ("state", "pending_state", "ready"),
    [
        ("ready", None, True),
        ("ready", "ready", True),
        ("archived", None, True),
        ("archived", "ready", True),
        ("archived", "archived", True),
        ("ready", "archived", False),
        ("ready", "resetting", False),
        ("init", None, False),
        ("init", "ready", False),
        ("resetting", None, False),
        ("resetting", "ready", False),
        ("a state of tomorrow", None, False),
    ],
)
def test_only_an_idle_or_archived_branch_is_ready(state: str, pending_state: str | None, ready: bool) -> None:
    """`BranchState` of Neon's specification; "No action is required to unarchive a branch" (Branch archiving)."""
    assert branch(current_state=state, pending_state=pending_state).is_ready is ready


def test_the_restore_window_is_the_projects_retention_and_restarts_at_a_restore() -> None:
    project = Project(id="p", name="p", history_retention_seconds=86_400)
    assert restore_window(project, branch(), NOW).earliest == NOW - 24 * HOUR
    window = restore_window(project, branch(last_reset_at=NOW - 2 * HOUR), NOW)
    assert window.earliest == NOW - 2 * HOUR
    assert window.contains(NOW - HOUR, margin=timedelta(minutes=10))
    assert not window.contains(NOW - 2 * HOUR - timedelta(seconds=1), margin=timedelta(0))
    assert not window.contains(NOW + timedelta(seconds=1), margin=timedelta(0))


def test_the_margin_applies_to_the_moving_end_of_the_retention_and_not_to_the_last_restore() -> None:
    """A hotfix minutes after a restore can go back: the history since the restore does not become shorter."""
    project = Project(id="p", name="p", history_retention_seconds=86_400)
    minute, margin = timedelta(minutes=1), timedelta(minutes=10)
    window_after_restore = restore_window(project, branch(last_reset_at=NOW - 20 * minute), NOW)
    assert window_after_restore.contains(NOW - 19 * minute, margin=margin)
    moving_window = restore_window(project, branch(), NOW)
    assert not moving_window.contains(NOW - 24 * HOUR + 9 * minute, margin=margin)
    assert moving_window.contains(NOW - 24 * HOUR + 11 * minute, margin=margin)


@pytest.mark.parametrize(
    ("plan", "roots"),
    [
        ("free_v2", 3),
        ("free_v3", 3),
        ("launch", 5),
        ("launch_v3", 5),
        ("scale", 25),
        ("scale_v3", 25),
        ("business", 25),
        ("UNKNOWN", None),
        ("direct_sales", None),
        ("direct_sales_v3", None),
        ("aws_marketplace", None),
        ("vercel_pg_legacy", None),
    ],
)
def test_the_limit_of_root_branches_is_known_for_known_plans_only(plan: str, roots: int | None) -> None:
    """All of `BillingSubscriptionType` in Neon's API specification; limits of the named plans are published only."""
    answer = {"id": "p", "name": "p", "history_retention_seconds": 1, "owner": {"subscription_type": plan}}
    assert Project.of_answer(answer).root_branch_limit == roots


@pytest.mark.parametrize(
    ("status", "succeeded", "failed"),
    [
        ("finished", True, False),
        ("skipped", True, False),
        ("running", False, False),
        ("failed", False, False),
        ("error", False, True),
        ("cancelled", False, True),
        ("something_new", False, False),
    ],
)
def test_an_operation_with_an_unknown_status_is_unfinished(status: str, succeeded: bool, failed: bool) -> None:
    current_operation = operation(status)
    assert (current_operation.has_succeeded, current_operation.has_failed(NOW), current_operation.is_over(NOW)) == (
        succeeded,
        failed,
        succeeded or failed,
    )


def test_a_failed_operation_is_final_after_a_minute_without_an_update() -> None:
    assert not operation("failed", timedelta(seconds=59)).has_failed(NOW)
    assert operation("failed", timedelta(seconds=60)).has_failed(NOW)


@pytest.mark.parametrize(
    ("status", "message", "changes", "error"),
    [
        (401, "", True, "AccessRefused"),
        (403, "", False, "AccessRefused"),
        (404, "", True, "NotFound"),
        (409, "branch already exists", True, "AlreadyExists"),
        (422, "Branch has children, preserve_under_name is required", True, "BackupNameRequired"),
        (422, "cannot delete branch that has children", True, "BranchHasChildren"),
        (422, "cannot reset protected branch", True, "BranchProtected"),
        (422, "branch not ready yet", True, "BranchNotReady"),
        (422, "something else", True, "RequestRefused"),
        (423, "project already has running conflicting operations", True, "ProjectLocked"),
        (429, "", True, "RetryLater"),
        (503, "", True, "RetryLater"),
        (524, "", True, "OutcomeUnknown"),
        (500, "", True, "OutcomeUnknown"),
        (500, "", False, "ExternalServiceError"),
    ],
)
def test_each_refusal_of_neon_has_its_cause(status: int, message: str, changes: bool, error: str) -> None:
    failure = translate_response("POST /x", status, {"message": message, "request_id": "r-1"}, None, changes=changes)
    assert type(failure).__name__ == error
    assert isinstance(failure, ExternalServiceError)
    assert f"POST /x failed: {status}" in str(failure)
    assert "r-1" in str(failure)
