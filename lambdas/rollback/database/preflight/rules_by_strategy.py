"""List for each strategy the rules that a branch has to pass before anything is changed. Pure: Neon was asked."""

from collections.abc import Sequence
from datetime import datetime

from rollback.check import Check
from rollback.database.preflight.branch_rules import (
    branch_belongs_to_pull_request,
    branch_can_be_restored,
    branch_exists,
    branch_has_compute,
    branch_has_no_children,
    branch_is_not_default,
    branch_is_not_protected,
    branch_is_ready,
    branch_is_root,
    branch_name_matches_pattern,
    find_branch,
    source_exists,
    source_is_quiet,
)
from rollback.database.preflight.restore_rules import (
    backup_has_room,
    children_stay,
    ip_limits_hold,
    restore_point_is_in_window,
)
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.progress import RestorePoint
from rollback.domain.settings.database import DatabaseSettings
from rollback.resources.database.neon import Branch, Endpoint, Operation, Project


def judge_restore(
    project: Project,
    branches: Sequence[Branch],
    endpoints: Sequence[Endpoint],
    point: RestorePoint,
    branch_settings: BranchSettings,
    now: datetime,
) -> tuple[Check, ...]:
    """Check a restore of a branch to a point in its own past.

    Args:
        endpoints: computes of the branch itself.
    """
    exists = branch_exists(branch_settings.branch_id, project, branches)
    branch = find_branch(branches, branch_settings.branch_id)
    if branch is None:
        return (exists,)
    return (
        exists,
        branch_is_root(branch),
        branch_can_be_restored(branch, endpoints),
        restore_point_is_in_window(project, branch, branches, point, branch_settings, now),
        backup_has_room(project, branches),
        children_stay(branch, branches, branch_settings),
        ip_limits_hold(project, branch),
    )


def judge_reset(
    project: Project,
    branches: Sequence[Branch],
    endpoints: Sequence[Endpoint],
    source_branch_id: str,
    busy: Sequence[Operation],
    branch_settings: BranchSettings,
    *,
    is_undo: bool = False,
) -> tuple[Check, ...]:
    """Check a reset of a branch to another branch's head.

    Args:
        endpoints: computes of the branch itself.
        busy: the source's operations that change data and are not over.
        is_undo: the source is a backup that a rollback made of this branch. Only an undo may overwrite the default
            branch.
    """
    exists = branch_exists(branch_settings.branch_id, project, branches)
    branch, source = find_branch(branches, branch_settings.branch_id), find_branch(branches, source_branch_id)
    if branch is None:
        return (exists,)
    if source is None or source is branch:
        return (source_exists(source_branch_id, branch, project.name, branches),)
    return (
        exists,
        source_is_quiet(source, busy),
        *(() if is_undo else (branch_is_not_default(branch),)),
        branch_can_be_restored(branch, endpoints),
        *((backup_has_room(project, branches),) if branch.is_root else ()),
        children_stay(branch, branches, branch_settings),
        ip_limits_hold(project, branch),
    )


def judge_recreate(
    project: Project,
    branches: Sequence[Branch],
    branch: Branch,
    endpoints: Sequence[Endpoint],
    source_branch_id: str | None,
    busy: Sequence[Operation],
    settings: DatabaseSettings,
) -> tuple[Check, ...]:
    """Check the replacement of a branch by a copy of another branch's head.

    Args:
        endpoints: computes of the branch itself.
        busy: the source's operations that change data and are not over.
    """
    source = find_branch(branches, source_branch_id)
    return (
        *_rules_of_removal(branches, branch, settings),
        branch_is_ready(branch),
        branch_has_compute(branch, endpoints),
        source_exists(source_branch_id, branch, project.name, branches)
        if source is None or source is branch
        else source_is_quiet(source, busy),
    )


def judge_delete(branches: Sequence[Branch], branch: Branch, settings: DatabaseSettings) -> tuple[Check, ...]:
    """Check the deletion of a pull request's branch."""
    return (branch_belongs_to_pull_request(branch, settings), *_rules_of_removal(branches, branch, settings))


def _rules_of_removal(branches: Sequence[Branch], branch: Branch, settings: DatabaseSettings) -> tuple[Check, ...]:
    return (
        branch_is_not_default(branch),
        branch_is_not_protected(branch),
        branch_has_no_children(branch, branches),
        branch_name_matches_pattern(branch, settings),
    )
