"""Decide which of a project's operations to wait for: those of our own changes that the branch needs.

Neon answers a change with the operations that it caused. Other operations on the same branch belong to Neon's
maintenance or to another user. `detach_parent_branch` may run for half an hour while the branch is ready and answers
SQL. Names of actions: Neon's API specification, `OperationAction`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollback.domain.database.progress import DatabaseProgress
from rollback.resources.database.neon import Branch, Operation

MAX_CLOCK_SKEW = timedelta(minutes=1)
_MAX_WAIT = timedelta(minutes=3)  # afterwards a ready branch that answers SQL is enough
_CHANGE_ACTIONS = frozenset(
    {
        "create_branch",
        "create_timeline",
        "create_compute",
        "start_compute",
        "start_reserved_compute",
        "suspend_compute",
        "apply_config",
        "delete_timeline",
        "timeline_unarchive",
    }
)
_RESTORE_ACTIONS = frozenset({"create_branch", "create_timeline"})
_BACKGROUND_ACTIONS = frozenset({"detach_parent_branch", "apply_storage_config", "prepare_secondary_pageserver"})
_COMPUTE_ACTIONS = frozenset(
    {
        "create_compute",
        "start_compute",
        "start_reserved_compute",
        "suspend_compute",
        "apply_config",
        "check_availability",
    }
)


def find_own_operation_ids(
    progress: DatabaseProgress, operations: Iterable[Operation], branch_ids: set[str | None]
) -> set[str]:
    """Find the operations of our own changes.

    Neon's answers name them. If an answer was lost, they are the operations of a change that began on our branches
    after the change was announced.
    """
    start_times = [
        at for at in (progress.intent.at if progress.intent else None, progress.confirmed_since) if at is not None
    ]
    if not start_times:
        return set(progress.operation_ids)
    since = min(start_times) - MAX_CLOCK_SKEW
    unanswered_operations = (
        o for o in operations if o.branch_id in branch_ids and o.action in _CHANGE_ACTIONS and o.created_at >= since
    )
    return {*progress.operation_ids, *(operation.id for operation in unanswered_operations)}


def is_blocking(operation: Operation, branches: Iterable[Branch], now: datetime) -> bool:
    """Whether an operation that is not over blocks the next change; never for long, once the branches are ready."""
    if not all(branch.is_ready for branch in branches):
        return True
    return operation.action not in _BACKGROUND_ACTIONS and now - operation.created_at < _MAX_WAIT


def is_compute_operation(operation: Operation) -> bool:
    """Whether the operation starts, stops or reconfigures a compute."""
    return operation.action in _COMPUTE_ACTIONS


def changes_data(operation: Operation) -> bool:
    """Whether the operation may move the head of its branch. An unknown action may."""
    return operation.action not in _COMPUTE_ACTIONS | _BACKGROUND_ACTIONS


def has_restore_evidence(operations: Iterable[Operation], branch_id: str, requested_at: datetime | None) -> bool:
    """Whether Neon lists new storage for a branch since its restore was requested."""
    if requested_at is None:
        return False
    since = requested_at.replace(microsecond=0)  # Neon's times are whole seconds
    return any(o.branch_id == branch_id and o.action in _RESTORE_ACTIONS and o.created_at >= since for o in operations)
