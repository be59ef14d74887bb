"""Rules about a restore: is its point kept, is there room for its backup, and which side effects does it have?

One function for each rule. Side effects move child branches or lift IP limits; the plan and the report name them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.data_loss_analysis import COMPARISON_BRANCH_PREFIX
from rollback.domain.database.progress import BACKUP_PREFIX, RestorePoint
from rollback.resources.database.neon import Branch, Project, restore_window

CHILDREN_CHECK, IP_LIMITS_CHECK = "children-stay", "ip-limits-hold"
_PROTECTED_ONLY_IP_ALLOW, _CHILDREN = "is_ip_allow_protected_only", "children"


def restore_point_is_in_window(
    project: Project,
    branch: Branch,
    branches: Sequence[Branch],
    point: RestorePoint,
    branch_settings: BranchSettings,
    now: datetime,
) -> Check:
    """Neon keeps the branch's history back to the restore point, with a margin."""
    window, margin = restore_window(project, branch, now), timedelta(minutes=branch_settings.window_margin_minutes)
    if branch.last_reset_at is not None and point.at < branch.last_reset_at:
        backups = ", ".join(b.name for b in branches if b.name.startswith(BACKUP_PREFIX)) or "none of ours is left"
        objection = (
            f"{point.at} is before {branch.name} was last restored ({branch.last_reset_at}): that history is in the "
            f"backup of that restore ({backups}); restore the branch from there in Neon's console"
        )
    else:
        objection = (
            f"{point.at} is not within what Neon keeps of {branch.name}, from {window.earliest}, with a margin of "
            f"{branch_settings.window_margin_minutes:g} minutes at that end. Name a later time (--to), or restore "
            "the data from your own dump. For the next time, let Neon keep a longer history, in the project's settings"
        )
    is_kept = window.contains(point.at, margin)
    return Check.failed_if(
        None if is_kept else objection, "restore-point-is-in-window", f"history goes back to {window.earliest}"
    )


def backup_has_room(project: Project, branches: Sequence[Branch]) -> Check:
    """Neon's plan allows one more root branch: the backup of a root branch is a root branch too.

    Not forceable. `force` is also an approval, and a restore that Neon refuses for lack of room stops the services for
    nothing.
    """
    name = "backup-has-room"
    root_branches, limit = [branch for branch in branches if branch.is_root], project.root_branch_limit
    if limit is None:
        reason = (
            f"how many root branches the plan {project.subscription_type} allows is not known, and the backup is one "
            f"more than the present {len(root_branches)}: Neon decides, before anything is overwritten"
        )
        return Check.warned(name, reason)
    backups = ", ".join(sorted(b.name for b in root_branches if b.name.startswith(BACKUP_PREFIX))) or "none of ours"
    objection = (
        f"the project has {len(root_branches)} of {limit} root branches, and the backup needs one more; in Neon's "
        f"console, delete a backup that is no longer needed ({backups}), and start again"
    )
    return Check.failed_if(
        None if len(root_branches) < limit else objection,
        name,
        f"the project has {len(root_branches)} of {limit} root branches",
    )


def children_stay(branch: Branch, branches: Sequence[Branch], branch_settings: BranchSettings) -> Check:
    """No child branch moves to the backup, unless the settings allow it.

    A backup of ours may be a child, of a branch that stepped down: it keeps its data below any parent. Staging and
    previews are children of production in every project that is set up as Neon recommends. That they move is no reason
    to leave production broken, so the setting `children` decides.
    """
    child_names = (other.name for other in branches if other.parent_id == branch.id)
    own_prefixes = (BACKUP_PREFIX, COMPARISON_BRANCH_PREFIX)
    children = ", ".join(sorted(name for name in child_names if not name.startswith(own_prefixes)))
    if not children:
        return Check.passed(CHILDREN_CHECK, f"{branch.name} has no children")
    if branch_settings.children == "move":
        reason = f"{children} move from {branch.name} to its backup, and keep the data that the restore replaces"
        return Check.passed(CHILDREN_CHECK, reason, evidence={_CHILDREN: children})
    objection = (
        f"{children} would move from {branch.name} to its backup, and keep the data that the restore "
        f"replaces. Delete or "
        "reset them first; or allow it, by children: move in the settings or by --force"
    )
    return Check.failed(CHILDREN_CHECK, objection, is_forceable=True)


def ip_limits_hold(project: Project, branch: Branch) -> Check:
    """Note whether IP Allow is lifted during the restore; this never refuses the restore.

    The option "removes IP restrictions from all branches" except protected ones (Neon, "Protected branches").
    """
    if not project.limits_protected_only:
        return Check.passed(IP_LIMITS_CHECK, "IP Allow does not depend on a branch's protection")
    if not branch.protected:
        return Check.passed(
            IP_LIMITS_CHECK, f"{branch.name} is not protected, so IP Allow does not cover the branch anyway"
        )
    reason = (
        f"IP Allow holds on protected branches only: while {branch.name} is unprotected for the restore, any address "
        "reaches it, with its passwords. The preview has passwords of its own; the backup is protected afterwards"
    )
    return Check.passed(IP_LIMITS_CHECK, reason, evidence={_PROTECTED_ONLY_IP_ALLOW: branch.name})


def collect_notes(checks: Sequence[Check]) -> tuple[str, ...]:
    """Collect for the report each warning, children that move, and IP limits that are lifted."""
    noted_checks = (check for check in checks if check.verdict is Verdict.WARN or _has_side_effect(check))
    return tuple(f"{check.name}: {check.reason}" for check in noted_checks)


def warn_of_side_effects(observed_checks: Sequence[Check]) -> tuple[Check, ...]:
    """Repeat in a plan the side effects that the last observation found. Neon is asked again before the restore."""
    return tuple(
        check.model_copy(update={"verdict": Verdict.WARN}) for check in observed_checks if _has_side_effect(check)
    )


def has_protected_only_ip_allow(checks: Sequence[Check]) -> bool:
    """Whether IP Allow covers protected branches only, and this branch is protected."""
    return any(_PROTECTED_ONLY_IP_ALLOW in check.evidence for check in checks)


def _has_side_effect(check: Check) -> bool:
    return _CHILDREN in check.evidence or _PROTECTED_ONLY_IP_ALLOW in check.evidence
