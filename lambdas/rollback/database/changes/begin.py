"""Begin a change behind a fence: every question that can be asked is asked first, while services run.

A question without an answer is asked again, for as long as a restore may take. A refusal then has changed nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.ports import WaitPorts
from rollback.database.changes.source import SourceHasNoCompute
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.preflight import is_refused_despite_force
from rollback.database.preflight.restore_rules import collect_notes
from rollback.domain.database.progress import (
    DatabaseOutcome,
    DatabaseProgress,
    OriginalBranch,
    RefusedProgress,
    backup_name,
    preview_name,
)
from rollback.domain.rollback import Rollback
from rollback.intents.announce import seconds_to_wait
from rollback.resources.database.errors import NotFound, RetryLater

_REPORTED_WARNINGS = frozenset({"background-work-is-seen"})  # warnings about losses that no later query can detect

NewProgress = Callable[[OriginalBranch, tuple[Check, ...]], DatabaseProgress]
"""Makes a strategy's progress from the branch as it is, and from the checks."""


def begin_after_checks(
    rollback: Rollback,
    run_checks: Callable[[], tuple[Check, ...]],
    new_progress: NewProgress,
    context: BranchContext,
    ports: WaitPorts,
) -> Rollback:
    """Refuse, ask again later, or store the branch as it is, with the checks that an operator's force overrode.

    Args:
        rollback: the document.
        run_checks: asks Neon and SQL. The plan's checks may be an hour old, since an operator had to approve it.
        new_progress: makes the strategy's progress.
        context: the branch, Neon and SQL.
        ports: the other ports.

    Raises:
        ExternalServiceError: Neon or AWS could not be asked; nothing was changed, call again.
    """
    try:
        checks = run_checks()
        if not is_refused_despite_force(checks):
            checks = (*checks, _check_names_are_free(rollback, context))
    except RetryLater as later:
        return _retry_later(rollback, later, context, ports)
    branch_id, neon, now = context.settings.branch_id, context.neon, ports.clock.now()
    reason = why_refused(rollback, checks)
    if reason is not None:
        return rollback.evolve(database=refused_progress(branch_id, reason, now), wait_seconds=0)
    branch = neon.branch(branch_id)
    if branch is None:
        raise NotFound(f"branch {branch_id} was deleted a moment ago; nothing was changed")
    progress = new_progress(OriginalBranch.of(branch, neon.endpoints(branch_id)), checks)
    progress = progress.evolve(started_at=now, notes=collect_notes(checks))
    return rollback.evolve(database=_note_overridden_checks(progress, checks), wait_seconds=0)


def refused_progress(branch: str, reason: str, now: datetime, *, may_succeed_later: bool = False) -> RefusedProgress:
    """Make the progress of a refusal before anything began.

    Args:
        branch: Neon's id or the name of the branch.
        reason: reason for the report.
        now: time of the refusal.
        may_succeed_later: another rollback or Neon was busy with the branch, which passes.
    """
    original_branch = OriginalBranch(name=branch, protected=False)
    progress = RefusedProgress(started_at=now, before=original_branch, may_succeed_later=may_succeed_later)
    return progress.mark_failed(reason, now).ended(DatabaseOutcome.REFUSED, now)


def why_refused(rollback: Rollback, checks: tuple[Check, ...]) -> str | None:
    """Join the failed checks that no force overrides; None: there is none."""
    failed_checks = [c for c in checks if c.verdict is Verdict.FAIL and not (rollback.request.force and c.is_forceable)]
    if not failed_checks:
        return None
    return f"{'; '.join(f'{check.name}: {check.reason}' for check in failed_checks)}; nothing was changed"


def _note_overridden_checks(progress: DatabaseProgress, checks: tuple[Check, ...]) -> DatabaseProgress:
    replication_at_risk: list[str] = []
    for check in checks:
        if check.verdict is Verdict.FAIL:
            progress = progress.add_note(f"overridden by force: {check.name}: {check.reason}")
            replication_at_risk += check.evidence.get("replication_at_risk", ())
        elif check.verdict is Verdict.WARN and check.name in _REPORTED_WARNINGS:
            progress = progress.add_note(f"{check.name}: {check.reason}")
    return progress.evolve(replication_at_risk=tuple(replication_at_risk))


def _check_names_are_free(rollback: Rollback, context: BranchContext) -> Check:
    """Check the names of preview and backup: a branch with the backup's name proves later that the restore was made."""
    names = (preview_name(rollback.id), backup_name(rollback.id))
    taken_names = ", ".join(name for name in names if context.neon.branch_named(name) is not None)
    objection = f"the project already has a branch {taken_names}: rename that branch, and start again"
    return Check(
        name="branch-names-are-free",
        verdict=Verdict.FAIL if taken_names else Verdict.PASS,
        reason=objection if taken_names else f"no branch is called {' or '.join(names)}",
    )


def _retry_later(rollback: Rollback, later: RetryLater, context: BranchContext, ports: WaitPorts) -> Rollback:
    """Ask again while services run, for as long as a restore may take."""
    now, limit = ports.clock.now(), context.settings.restore_timeout_minutes
    since = rollback.database_waits_since or now
    if now - since <= timedelta(minutes=limit):
        compute = later.announces if isinstance(later, SourceHasNoCompute) else None
        waiting = rollback.evolve(database_waits_since=since, wait_seconds=seconds_to_wait(later, ports))
        return waiting.evolve(source_compute_branch_id=compute, wait_seconds=0) if compute is not None else waiting
    reason = f"Neon and the database could not be asked in {limit:g} minutes: {later}; nothing was changed"
    progress = refused_progress(context.settings.branch_id, reason, now, may_succeed_later=True)
    return rollback.evolve(database=progress, wait_seconds=0)
