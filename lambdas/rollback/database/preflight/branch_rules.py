"""Rules about the branch that a rollback changes: may Neon restore, replace or delete it? One function for each rule.

Two rules are about the source, the branch whose head a reset or a recreate copies. One is about the address of a
recreated branch, whose services need the new host.

Neon refuses to delete a protected branch, the default branch and a branch with children, and binds `expires_at` to the
same conditions (https://neon.com/docs/manage/branches). A recreate gives the old branch an expiry, so the same rules
hold for it. No rule of a recreate or a deletion can be forced, because such a branch can't be brought back.
"""

import re
from collections.abc import Sequence

from rollback.check import Check
from rollback.domain.settings.database import DatabaseSettings
from rollback.resources.database.neon import Branch, Endpoint, Operation, Project

_PR = re.escape("{pr}")
_MAX_NAMES = 20


def find_branch(branches: Sequence[Branch], branch_id: str | None) -> Branch | None:
    """The branch with an id of Neon's; None: the project has none."""
    return next((branch for branch in branches if branch.id == branch_id), None)


def list_branch_names(branches: Sequence[Branch]) -> str:
    """Names and ids of the first branches, from which an operator can choose the right one."""
    labels = sorted(f"{branch.name} ({branch.id})" for branch in branches)
    more = f", and {len(labels) - _MAX_NAMES} more" if len(labels) > _MAX_NAMES else ""
    return f"{', '.join(labels[:_MAX_NAMES]) or 'none'}{more}"


def branch_is_unknown(name: str, branch_id: str | None, project_name: str, branches: Sequence[Branch]) -> Check:
    """Fail a check because the settings name a branch that the project does not have."""
    reason = (
        f"project {project_name} has no branch {branch_id} for this: put the right id into the settings; its "
        f"branches: {list_branch_names(branches)}"
    )
    return Check.failed(name, reason)


def branch_exists(branch_id: str, project: Project, branches: Sequence[Branch]) -> Check:
    """The project has the branch that the settings name."""
    branch = find_branch(branches, branch_id)
    if branch is None:
        return branch_is_unknown("branch-exists", branch_id, project.name, branches)
    return Check.passed("branch-exists", f"{branch.name} is {branch.id}")


def branch_is_root(branch: Branch) -> Check:
    """Neon restores only a root branch to a point in its own past."""
    objection = (
        f"{branch.name} has a parent: only a root branch can be restored to a point in its own past; reset the branch "
        "instead"
    )
    return Check.failed_if(None if branch.is_root else objection, "branch-is-root", f"{branch.name} has no parent")


def branch_is_not_default(branch: Branch) -> Check:
    """Only a restore changes the default branch. With source and target swapped, a reset would overwrite production."""
    objection = (
        f"{branch.name} is the project's default branch: it is never reset, replaced or deleted; restore it to a point "
        "in its own past instead"
    )
    passed = f"{branch.name} is not the default"
    return Check.failed_if(objection if branch.default else None, "branch-is-not-default", passed)


def branch_is_not_protected(branch: Branch) -> Check:
    """Neon deletes no protected branch."""
    objection = f"{branch.name} is protected: remove the protection in Neon's console, or leave the branch as it is"
    passed = f"{branch.name} is not protected"
    return Check.failed_if(objection if branch.protected else None, "branch-is-not-protected", passed)


def branch_has_no_children(branch: Branch, branches: Sequence[Branch]) -> Check:
    """Neon deletes no branch that has children."""
    children = ", ".join(sorted(other.name for other in branches if other.parent_id == branch.id))
    objection = f"{branch.name} has children ({children}), which depend on it. Delete or reset them first"
    passed = f"{branch.name} has no children"
    return Check.failed_if(objection if children else None, "branch-has-no-children", passed)


def branch_name_matches_pattern(branch: Branch, settings: DatabaseSettings) -> Check:
    """Only a branch that `branch_pattern` names is replaced or deleted, if the settings have a pattern."""
    name = "branch-name-matches-pattern"
    if settings.branch_pattern is None:
        return Check.passed(name, branch.name)
    pattern = re.escape(settings.branch_pattern).replace(_PR, r"[1-9]\d*")
    objection = f"{branch.name} does not match {settings.branch_pattern}: it is not a pull request's branch"
    return Check.failed_if(None if re.fullmatch(pattern, branch.name) else objection, name, branch.name)


def branch_belongs_to_pull_request(branch: Branch, settings: DatabaseSettings) -> Check:
    """Only a pull request's branch is ever deleted."""
    objection = (
        f"{branch.name} is this environment's only branch: a deletion is for pull requests' branches, which "
        "branch_pattern names"
    )
    is_only = settings.branch_pattern is None
    return Check.failed_if(objection if is_only else None, "branch-belongs-to-pull-request", settings.project_id)


def branch_is_ready(branch: Branch) -> Check:
    """No operation changes the branch now."""
    objection = f"{branch.name} is {branch.current_state}: wait until it is ready, and start again"
    return Check.failed_if(None if branch.is_ready else objection, "branch-is-ready", f"{branch.name} is ready")


def branch_has_compute(branch: Branch, endpoints: Sequence[Endpoint]) -> Check:
    """Services connect to a compute of the branch."""
    objection = f"{branch.name} has no compute: create one in Neon's console, so that services can connect"
    return Check.failed_if(None if endpoints else objection, "branch-has-compute", f"{branch.name} has a compute")


def branch_can_be_restored(branch: Branch, endpoints: Sequence[Endpoint]) -> Check:
    """The branch is ready, Neon allows a restore, and has a compute through which SQL can check the result."""
    objection = None
    if not branch.is_ready:
        objection = f"{branch.name} is {branch.current_state}: another change is under way; wait, and start again"
    elif branch.why_not("restore") is not None:
        objection = f"Neon forbids a restore of {branch.name}: {branch.why_not('restore')}"
    elif not endpoints or any(endpoint.disabled for endpoint in endpoints):
        objection = f"{branch.name} has no enabled compute: the result of a restore could not be checked by SQL"
    return Check.failed_if(objection, "branch-can-be-restored", f"{branch.name} is ready")


def source_exists(source_branch_id: str | None, branch: Branch, project_name: str, branches: Sequence[Branch]) -> Check:
    """The project has the source, and the source is another branch than the target."""
    source = find_branch(branches, source_branch_id)
    if source is None or source is branch:
        return branch_is_unknown("source-exists", source_branch_id, project_name, branches)
    return Check.passed("source-exists", f"{source.name} is {source.id}")


def source_is_quiet(source: Branch, busy: Sequence[Operation]) -> Check:
    """No operation changes the source now.

    Args:
        busy: the source's operations that change data and are not over.
    """
    actions = ", ".join(sorted({operation.action for operation in busy}))
    objection = (
        f"{source.name} is being changed ({actions or source.current_state}): wait until the branch is ready, and "
        "start again"
    )
    is_quiet = source.is_ready and not busy
    return Check.failed_if(None if is_quiet else objection, "source-is-quiet", f"{source.name} is ready")


def services_get_new_address(settings: DatabaseSettings, writers: Sequence[str], unreadable: str | None) -> Check:
    """The new connection URI can be written to the secret from which the services read it.

    Args:
        writers: names of the services that write to the branch.
        unreadable: why the new URI can't be written to the secret; None: it can.
    """
    name = "connection-secret-is-writable"
    if settings.connection_secret_arn is None:
        objection = (
            f"{', '.join(writers)} would keep the address of the old branch: set connection_secret_arn, the secret "
            "that holds their connection URI; or reset the branch instead, which keeps its host"
        )
        return Check.failed_if(objection if writers else None, name, "no service writes to the branch")
    return Check.failed_if(unreadable, name, f"{settings.connection_secret_arn} gets the new branch's address")
