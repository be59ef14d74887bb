"""Rules about the branch whose head a reset or a recreate copies. One function for each rule."""

from collections.abc import Sequence

from rollback.check import Check
from rollback.database.preflight.branch_rules import branch_is_unknown, find_branch
from rollback.resources.database.neon import Branch, Operation


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
    running = ", ".join(sorted({operation.action for operation in busy}))
    objection = f"{source.name} is being changed ({running or source.current_state}): wait for that, and start again"
    is_quiet = source.is_ready and not busy
    return Check.failed_if(None if is_quiet else objection, "source-is-quiet", f"{source.name} is ready")
