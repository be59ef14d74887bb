"""What is asked before a branch is replaced or deleted. Nothing here can be forced: such a branch has no way back.

Neon refuses to delete a protected branch, the default one and one with children, and `expires_at` is bound to the same
(https://neon.com/docs/manage/branches); we refuse to replace them too, since the old branch is to expire.
"""

import re
from collections.abc import Sequence

from rollback.check import Check
from rollback.domain.settings.database import DatabaseSettings
from rollback.resources.database.neon import Branch, Endpoint, Operation

_PR = re.escape("{pr}")


def judge_delete(branches: Sequence[Branch], branch: Branch, settings: DatabaseSettings) -> tuple[Check, ...]:
    """Only ever a pull request's branch."""
    only = f"{branch.name} is this environment's one branch: only a pull request's, named by branch_pattern, is deleted"
    return (
        Check.failed_if(
            only if settings.branch_pattern is None else None, "branch-is-a-pull-request-s", settings.project_id
        ),
        *_check_removable(branches, branch, settings),
    )


def judge_recreate(
    branches: Sequence[Branch],
    branch: Branch,
    endpoints: Sequence[Endpoint],
    source_branch_id: str | None,
    busy: Sequence[Operation],
    settings: DatabaseSettings,
) -> tuple[Check, ...]:
    """`endpoints` are the branch's; `busy`: the source's operations that are not over."""
    no_compute = f"{branch.name} has no compute: create one in Neon's console, nobody can be connected without"
    changing = f"{branch.name} is {branch.current_state}: wait until it is ready, and start again"
    return (
        *_check_removable(branches, branch, settings),
        Check.failed_if(None if branch.is_ready else changing, "branch-is-ready", f"{branch.name} is ready"),
        Check.failed_if(None if endpoints else no_compute, "branch-has-compute", f"{branch.name} has a compute"),
        _source(branches, branch, source_branch_id, busy, settings),
    )


def judge_connection(settings: DatabaseSettings, writers: Sequence[str], unreadable: str | None) -> Check:
    """Whether services can be told the new host. `unreadable`: why the secret is no place for it."""
    name = "connection-secret"
    if settings.connection_secret_arn is None:
        why_not = (
            f"{', '.join(writers)} would be left with the address of the old branch: set connection_secret_arn, the "
            "secret that their connection URI comes from; or reset the branch instead, which keeps its host"
        )
        return Check.failed_if(why_not if writers else None, name, "no service has the branch's address from us")
    return Check.failed_if(unreadable, name, f"{settings.connection_secret_arn} gets the new branch's address")


def _check_removable(branches: Sequence[Branch], branch: Branch, settings: DatabaseSettings) -> tuple[Check, ...]:
    children = ", ".join(sorted(other.name for other in branches if other.parent_id == branch.id))
    has = f"{branch.name} has children ({children}): they need it; delete or reset them first"
    default = f"{branch.name} is the project's default branch: it is never replaced or deleted, restore it instead"
    protected = f"{branch.name} is protected: whoever may un-protect it decides, in Neon's console"
    wrong = f"{branch.name} is no name that {settings.branch_pattern} gives: it is not a pull request's branch"
    return (
        Check.failed_if(
            default if branch.default else None, "branch-is-not-default", f"{branch.name} is not the default"
        ),
        Check.failed_if(
            protected if branch.protected else None, "branch-is-not-protected", f"{branch.name} is not protected"
        ),
        Check.failed_if(has if children else None, "branch-has-no-children", f"{branch.name} has no children"),
        Check.failed_if(None if _is_named(branch, settings) else wrong, "name-is-of-the-pattern", branch.name),
    )


def _is_named(branch: Branch, settings: DatabaseSettings) -> bool:
    if settings.branch_pattern is None:
        return True
    pattern = re.escape(settings.branch_pattern).replace(_PR, r"[1-9]\d*")
    return re.fullmatch(pattern, branch.name) is not None


def _source(
    branches: Sequence[Branch],
    branch: Branch,
    source_branch_id: str | None,
    busy: Sequence[Operation],
    settings: DatabaseSettings,
) -> Check:
    name = "source-is-quiet"
    source = next((other for other in branches if other.id == source_branch_id), None)
    if source is None or source.id == branch.id:
        known = ", ".join(sorted(f"{other.name} ({other.id})" for other in branches))
        return Check.failed(
            name, f"project {settings.project_id} has no branch {source_branch_id} to copy from: {known}"
        )
    running = ", ".join(sorted({operation.action for operation in busy}))
    why_busy = f"{source.name} is being changed ({running or source.current_state}): wait for that, and start again"
    return Check.failed_if(None if source.is_ready and not busy else why_busy, name, f"{source.name} is ready")
