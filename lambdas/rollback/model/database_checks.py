"""What is asked before anything is changed: may this branch be restored to that point, and what would it cost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rollback.model.account import ACCOUNT_PREFIX
from rollback.model.check import Check, Verdict
from rollback.model.database_progress import BACKUP_PREFIX, RestorePoint
from rollback.model.database_target import RestoreTarget
from rollback.model.database_view import Branch, Endpoint, Operation, Project, restore_window

_MOST_NAMES = 20


def judge_restore(
    project: Project,
    branches: Sequence[Branch],
    endpoints: Sequence[Endpoint],
    point: RestorePoint,
    target: RestoreTarget,
    now: datetime,
) -> tuple[Check, ...]:
    """The checks of a point-in-time restore. `endpoints` are the branch's own."""
    branch = _found(branches, target.branch_id)
    if branch is None:
        return (unknown_branch("branch-exists", target.branch_id, project, branches),)
    return (
        Check(name="branch-exists", verdict=Verdict.PASS, reason=f"{branch.name} is {branch.id}"),
        _is_root(branch),
        _can_be_restored(branch, endpoints),
        _is_in_window(project, branch, branches, point, target, now),
        _has_room(project, branches),
        _keeps_children(branch, branches, target),
    )


def judge_reset(
    project: Project,
    branches: Sequence[Branch],
    endpoints: Sequence[Endpoint],
    source_branch_id: str,
    busy: Sequence[Operation],
    target: RestoreTarget,
    *,
    is_undo: bool = False,
) -> tuple[Check, ...]:
    """The checks of a reset to another branch's head. `busy`: the source's operations that are not over.

    An undo goes back to a backup that we made of this very branch: it alone may overwrite the default branch.
    """
    branch, source = _found(branches, target.branch_id), _found(branches, source_branch_id)
    if branch is None:
        return (unknown_branch("branch-exists", target.branch_id, project, branches),)
    if source is None or source is branch:
        return (unknown_branch("source-exists", source_branch_id, project, branches),)
    running = ", ".join(sorted({operation.action for operation in busy}))
    why_busy = f"{source.name} is being changed ({running or source.current_state}): wait for that, and start again"
    quiet = source.is_ready and not busy
    return (
        Check(name="branch-exists", verdict=Verdict.PASS, reason=f"{branch.name} is {branch.id}"),
        _check("source-is-quiet", None if quiet else why_busy, f"{source.name} is ready"),
        *(() if is_undo else (_is_no_ones_source(branch),)),
        _can_be_restored(branch, endpoints),
        *((_has_room(project, branches),) if branch.is_root else ()),
        _keeps_children(branch, branches, target),
    )


def _found(branches: Sequence[Branch], branch_id: str) -> Branch | None:
    return next((branch for branch in branches if branch.id == branch_id), None)


def named_branches(branches: Sequence[Branch]) -> str:
    """For whoever has to find the right one."""
    known = sorted(f"{branch.name} ({branch.id})" for branch in branches)
    more = f", and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"{', '.join(known[:_MOST_NAMES]) or 'none'}{more}"


def unknown_branch(name: str, branch_id: str, project: Project, branches: Sequence[Branch]) -> Check:
    """Named in the settings, and not there."""
    reason = (
        f"project {project.name} has no branch {branch_id} for this: put the right id into the settings; its "
        f"branches: {named_branches(branches)}"
    )
    return Check(name=name, verdict=Verdict.FAIL, reason=reason)


def _is_no_ones_source(branch: Branch) -> Check:
    """Turned around in the settings, a reset would overwrite production with staging."""
    why_not = f"{branch.name} is the project's default branch: it is restored to its own past, never reset"
    return _check("branch-is-not-default", why_not if branch.default else None, f"{branch.name} is not the default")


def _check(name: str, why_not: str | None, otherwise: str, *, forceable: bool = False) -> Check:
    verdict = Verdict.PASS if why_not is None else Verdict.FAIL
    return Check(name=name, verdict=verdict, reason=why_not or otherwise, forceable=forceable and why_not is not None)


def _is_root(branch: Branch) -> Check:
    why_not = f"{branch.name} has a parent: only a root branch can be restored to a point in its own past; reset it"
    return _check("branch-is-root", None if branch.is_root else why_not, f"{branch.name} has no parent")


def _can_be_restored(branch: Branch, endpoints: Sequence[Endpoint]) -> Check:
    why_not = None
    if not branch.is_ready:
        why_not = f"{branch.name} is {branch.current_state}: somebody else is changing it; wait, and start again"
    elif branch.why_not("restore") is not None:
        why_not = f"Neon does not let {branch.name} be restored: {branch.why_not('restore')}"
    elif not endpoints or any(endpoint.disabled for endpoint in endpoints):
        why_not = f"{branch.name} has no compute that can be connected to: nobody could look whether a restore worked"
    return _check("branch-can-be-restored", why_not, f"{branch.name} is ready")


def _is_in_window(
    project: Project,
    branch: Branch,
    branches: Sequence[Branch],
    point: RestorePoint,
    target: RestoreTarget,
    now: datetime,
) -> Check:
    window, margin = restore_window(project, branch, now), timedelta(minutes=target.window_margin_minutes)
    if branch.last_reset_at is not None and point.at < branch.last_reset_at:
        backups = ", ".join(b.name for b in branches if b.name.startswith(BACKUP_PREFIX)) or "none of ours is left"
        why_not = (
            f"{point.at} is before {branch.name} was last restored ({branch.last_reset_at}): that history is in the "
            f"backup of that restore ({backups}); restore the branch from there by hand"
        )
    else:
        why_not = (
            f"{point.at} is not within what Neon keeps of {branch.name}, from {window.earliest} with a margin of "
            f"{target.window_margin_minutes:g} minutes: name a later time (--to), or bring the data back "
            "from a dump of your own; for the next time, have Neon keep history for longer (in the project's settings)"
        )
    kept = window.contains(point.at, margin)
    return _check("restore-point-in-window", None if kept else why_not, f"history goes back to {window.earliest}")


def _has_room(project: Project, branches: Sequence[Branch]) -> Check:
    """The backup of a root branch is a root branch too."""
    roots, limit = [branch for branch in branches if branch.is_root], project.root_branch_limit
    backups = ", ".join(sorted(b.name for b in roots if b.name.startswith(BACKUP_PREFIX))) or "none of ours"
    why_not = (
        f"the project has {len(roots)} of {limit} root branches, and the backup needs one more; in Neon's console, "
        f"delete a backup that nobody needs any more ({backups}), and start again"
    )
    room = len(roots) < limit
    return _check("room-for-backup", None if room else why_not, f"{len(roots)} of {limit} root branches are there")


def _keeps_children(branch: Branch, branches: Sequence[Branch], target: RestoreTarget) -> Check:
    """A backup of ours may be a child (of a branch that stepped down): it keeps its data wherever it hangs."""
    others = (other.name for other in branches if other.parent_id == branch.id)
    ours = (BACKUP_PREFIX, ACCOUNT_PREFIX)
    children = ", ".join(sorted(name for name in others if not name.startswith(ours)))
    if not children:
        return _check("children-stay", None, f"{branch.name} has no children")
    would = f"{children} would move from {branch.name} to its backup, and stay on the data that is being left"
    if target.children == "move":
        return Check(name="children-stay", verdict=Verdict.WARN, reason=would)
    why_not = f"{would}; delete or reset them first; or allow it, by children: move in the settings or by --force"
    return _check("children-stay", why_not, "", forceable=True)
