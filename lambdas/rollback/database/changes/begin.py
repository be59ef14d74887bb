"""The beginning of every way back that fences: all that can be asked is asked first, while services run.

What can't be asked now is asked again, for as long as a restore may take; a refusal then has changed nothing.
"""

from collections.abc import Callable
from datetime import timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.reconcile import start_progress
from rollback.database.changes.source import SourceHasNoCompute
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.preflight import is_refused_despite_force
from rollback.domain.database.progress import (
    DatabaseOutcome,
    DatabaseProgress,
    OriginalBranch,
    backup_name,
    preview_name,
)
from rollback.domain.rollback import Rollback
from rollback.intents.waiting import seconds_to_wait
from rollback.ports.world import World
from rollback.resources.database.errors import RetryLater

_REPORTED_WARNINGS = frozenset({"background-work-is-seen"})  # warnings about what may be lost unseen


def begin_after_checks(
    rollback: Rollback,
    checks: Callable[[], tuple[Check, ...]],
    restoring: RestoreContext,
    world: World,
    what: dict[str, object],
) -> Rollback:
    """Refused; asked again later; or written down as the branch is before, with what a person's force overrode.

    Args:
        checks: asks Neon and SQL.
        what: fields of the progress: where the branch is to be brought.

    Raises:
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    try:
        asked = checks()
        if not is_refused_despite_force(asked):
            asked = (*asked, _check_backup_name_is_free(rollback, restoring))
    except RetryLater as later:
        return _retry_later(rollback, later, restoring, world)
    after = start_progress(rollback, asked, restoring, world.clock.now(), **what)
    progress = after.database
    if progress is None or progress.ended_at is not None:
        return after
    lost: list[str] = []
    for check in asked:
        if check.verdict is Verdict.FAIL:
            progress = progress.add_note(f"overridden by force: {check.name}: {check.reason}")
            lost += check.evidence.get("replication_at_risk", ())
        elif check.verdict is Verdict.WARN and check.name in _REPORTED_WARNINGS:
            progress = progress.add_note(f"{check.name}: {check.reason}")
    return after.evolve(database=progress.evolve(replication_at_risk=tuple(lost)))


def _check_backup_name_is_free(rollback: Rollback, restoring: RestoreContext) -> Check:
    """A branch of that name is taken for what the restore made: nobody else's may have it when it begins."""
    names = (preview_name(rollback.id), backup_name(rollback.id))
    taken = ", ".join(name for name in names if restoring.databases.branch_named(name) is not None)
    why_not = f"there is a branch {taken} already: rename it, and start again"
    return Check(
        name="branch-names-are-free",
        verdict=Verdict.FAIL if taken else Verdict.PASS,
        reason=why_not if taken else f"no branch is called {' or '.join(names)}",
    )


def _retry_later(rollback: Rollback, later: RetryLater, restoring: RestoreContext, world: World) -> Rollback:
    """Services run meanwhile."""
    now, limit = world.clock.now(), restoring.target.restore_timeout_minutes
    since = rollback.database_waits_since or now
    if now - since <= timedelta(minutes=limit):
        compute = later.announces if isinstance(later, SourceHasNoCompute) else None
        waiting = rollback.evolve(database_waits_since=since, wait_seconds=seconds_to_wait(later, world))
        return waiting.evolve(source_compute_branch_id=compute, wait_seconds=0) if compute is not None else waiting
    before = OriginalBranch(name=restoring.target.branch_id, protected=False)
    why = f"Neon and the database could not be asked in {limit:g} minutes: {later}; nothing was changed"
    progress = DatabaseProgress(started_at=now, before=before, has_collided=True)
    return rollback.evolve(database=progress.mark_failed(why, now).ended(DatabaseOutcome.REFUSED, now), wait_seconds=0)
