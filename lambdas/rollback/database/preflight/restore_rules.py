"""What is asked before anything is changed: may this branch be restored to that point, and what would it cost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.database.data_loss_analysis import COMPARISON_BRANCH_PREFIX
from rollback.domain.database.progress import BACKUP_PREFIX, RestorePoint
from rollback.domain.database.target import RestoreTarget
from rollback.resources.database.neon import Branch, Endpoint, Operation, Project, restore_window

CHILDREN_CHECK, IP_LIMITS_CHECK = "children-stay", "ip-limits"
_MOST_NAMES = 20
_PROTECTED_ONLY_IP_ALLOW, _CHILDREN = "is_ip_allow_protected_only", "children"


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
        return (unknown_branch_check("branch-exists", target.branch_id, project, branches),)
    return (
        Check.passed("branch-exists", f"{branch.name} is {branch.id}"),
        _check_root(branch),
        _check_restorable(branch, endpoints),
        _check_window(project, branch, branches, point, target, now),
        _check_backup_capacity(project, branches),
        _check_children(branch, branches, target),
        _check_ip_limits(project, branch),
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
        return (unknown_branch_check("branch-exists", target.branch_id, project, branches),)
    if source is None or source is branch:
        return (unknown_branch_check("source-exists", source_branch_id, project, branches),)
    running = ", ".join(sorted({operation.action for operation in busy}))
    why_busy = f"{source.name} is being changed ({running or source.current_state}): wait for that, and start again"
    quiet = source.is_ready and not busy
    return (
        Check.passed("branch-exists", f"{branch.name} is {branch.id}"),
        Check.failed_if(None if quiet else why_busy, "source-is-quiet", f"{source.name} is ready"),
        *(() if is_undo else (_check_not_default(branch),)),
        _check_restorable(branch, endpoints),
        *((_check_backup_capacity(project, branches),) if branch.is_root else ()),
        _check_children(branch, branches, target),
        _check_ip_limits(project, branch),
    )


def collect_notes(checks: Sequence[Check]) -> tuple[str, ...]:
    """What the report tells of checks that did not refuse: each warning, children that move, IP limits that lift."""
    told = (check for check in checks if check.verdict is Verdict.WARN or _has_side_effect(check))
    return tuple(f"{check.name}: {check.reason}" for check in told)


def warn_of_side_effects(seen: Sequence[Check]) -> tuple[Check, ...]:
    """For a plan, from the last look: which branches move, and which IP limits lift. Neon is asked again later."""
    return tuple(check.model_copy(update={"verdict": Verdict.WARN}) for check in seen if _has_side_effect(check))


def _has_side_effect(check: Check) -> bool:
    """A restore that is allowed would move children, or lift IP limits."""
    return _CHILDREN in check.evidence or _PROTECTED_ONLY_IP_ALLOW in check.evidence


def has_protected_only_ip_allow(checks: Sequence[Check]) -> bool:
    """Whether IP limits hold only while a branch is protected, and this one is."""
    return any(_PROTECTED_ONLY_IP_ALLOW in check.evidence for check in checks)


def _found(branches: Sequence[Branch], branch_id: str) -> Branch | None:
    return next((branch for branch in branches if branch.id == branch_id), None)


def list_branch_names(branches: Sequence[Branch]) -> str:
    """For whoever has to find the right one."""
    known = sorted(f"{branch.name} ({branch.id})" for branch in branches)
    more = f", and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"{', '.join(known[:_MOST_NAMES]) or 'none'}{more}"


def unknown_branch_check(name: str, branch_id: str, project: Project, branches: Sequence[Branch]) -> Check:
    """Named in the settings, and not there."""
    reason = (
        f"project {project.name} has no branch {branch_id} for this: put the right id into the settings; its "
        f"branches: {list_branch_names(branches)}"
    )
    return Check.failed(name, reason)


def _check_not_default(branch: Branch) -> Check:
    """Turned around in the settings, a reset would overwrite production with staging."""
    why_not = f"{branch.name} is the project's default branch: it is restored to its own past, never reset"
    return Check.failed_if(
        why_not if branch.default else None, "branch-is-not-default", f"{branch.name} is not the default"
    )


def _check_root(branch: Branch) -> Check:
    why_not = f"{branch.name} has a parent: only a root branch can be restored to a point in its own past; reset it"
    return Check.failed_if(None if branch.is_root else why_not, "branch-is-root", f"{branch.name} has no parent")


def _check_restorable(branch: Branch, endpoints: Sequence[Endpoint]) -> Check:
    why_not = None
    if not branch.is_ready:
        why_not = f"{branch.name} is {branch.current_state}: somebody else is changing it; wait, and start again"
    elif branch.why_not("restore") is not None:
        why_not = f"Neon does not let {branch.name} be restored: {branch.why_not('restore')}"
    elif not endpoints or any(endpoint.disabled for endpoint in endpoints):
        why_not = f"{branch.name} has no compute that can be connected to: nobody could look whether a restore worked"
    return Check.failed_if(why_not, "branch-can-be-restored", f"{branch.name} is ready")


def _check_window(
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
            f"{point.at} is not within what Neon keeps of {branch.name}, from {window.earliest}, with a margin of "
            f"{target.window_margin_minutes:g} minutes at that end: name a later time (--to), or bring the data back "
            "from a dump of your own; for the next time, have Neon keep history for longer (in the project's settings)"
        )
    kept = window.contains(point.at, margin)
    return Check.failed_if(
        None if kept else why_not, "restore-point-in-window", f"history goes back to {window.earliest}"
    )


def _check_backup_capacity(project: Project, branches: Sequence[Branch]) -> Check:
    """The backup of a root branch is a root branch too. Not forceable: `force` is an approval too, and a restore that
    Neon refuses for lack of room stops the services for nothing."""
    name = "room-for-backup"
    roots, limit = [branch for branch in branches if branch.is_root], project.root_branch_limit
    if limit is None:
        reason = (
            f"how many root branches the plan {project.subscription_type} allows is not known, and the backup is one "
            f"more than the {len(roots)} there are: Neon decides, before anything is overwritten"
        )
        return Check.warned(name, reason)
    backups = ", ".join(sorted(b.name for b in roots if b.name.startswith(BACKUP_PREFIX))) or "none of ours"
    why_not = (
        f"the project has {len(roots)} of {limit} root branches, and the backup needs one more; in Neon's console, "
        f"delete a backup that nobody needs any more ({backups}), and start again"
    )
    return Check.failed_if(
        None if len(roots) < limit else why_not, name, f"{len(roots)} of {limit} root branches are there"
    )


def _check_children(branch: Branch, branches: Sequence[Branch], target: RestoreTarget) -> Check:
    """A backup of ours may be a child (of a branch that stepped down): it keeps its data wherever it hangs.

    Staging and previews are children of production in every project that is set up as Neon recommends: that they move
    is no reason to leave production broken, unless the settings say so.
    """
    others = (other.name for other in branches if other.parent_id == branch.id)
    ours = (BACKUP_PREFIX, COMPARISON_BRANCH_PREFIX)
    children = ", ".join(sorted(name for name in others if not name.startswith(ours)))
    if not children:
        return Check.passed(CHILDREN_CHECK, f"{branch.name} has no children")
    if target.children == "move":
        reason = f"{children} move from {branch.name} to its backup, and stay on the data that is being left"
        return Check.passed(CHILDREN_CHECK, reason, evidence={_CHILDREN: children})
    why_not = (
        f"{children} would move from {branch.name} to its backup, and stay on the data that is being left; delete or "
        "reset them first; or allow it, by children: move in the settings or by --force"
    )
    return Check.failed(CHILDREN_CHECK, why_not, forceable=True)


def _check_ip_limits(project: Project, branch: Branch) -> Check:
    """The option "removes IP restrictions from all branches" but protected ones (Neon, "Protected branches")."""
    if not project.limits_protected_only:
        return Check.passed(IP_LIMITS_CHECK, "IP Allow does not hang on a branch's protection")
    if not branch.protected:
        return Check.passed(IP_LIMITS_CHECK, f"{branch.name} is not protected: IP Allow does not hold on it anyway")
    reason = (
        f"IP Allow holds on protected branches only: while {branch.name} is un-protected for the restore, any address "
        "reaches it, with its passwords; the preview has passwords of its own; the backup is protected after it"
    )
    return Check.passed(IP_LIMITS_CHECK, reason, evidence={_PROTECTED_ONLY_IP_ALLOW: branch.name})
