"""The beginning of every way back that fences: all that can be asked is asked first, while services run.

What can't be asked now is asked again, for as long as a restore may take; a refusal then has changed nothing.
"""

from collections.abc import Callable
from datetime import timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.reconcile import begun
from rollback.database.changes.source import SourceHasNoCompute
from rollback.database.preflight.context import Restoring
from rollback.database.preflight.preflight import refused_for_good
from rollback.domain.database.progress import BranchBefore, DatabaseProgress, Ending, backup_name, preview_name
from rollback.domain.rollback import Rollback
from rollback.intents.waiting import wait_for
from rollback.ports.world import World
from rollback.resources.database.errors import ComeBackLater

_TOLD_IN_REPORT = frozenset({"background-work-is-seen"})  # warnings about what may be lost unseen


def begin(
    rollback: Rollback,
    checks: Callable[[], tuple[Check, ...]],
    restoring: Restoring,
    world: World,
    what: dict[str, object],
) -> Rollback:
    """Refused; asked again later; or written down as the branch is before, with what a person's force overrode.

    Args:
        checks: asks Neon and SQL.
        what: fields of the progress: where the branch is to be brought.

    Raises:
        OutsideFailure: Neon or AWS could not be asked; nothing is lost, call again.
    """
    try:
        asked = checks()
        if not refused_for_good(asked):
            asked = (*asked, _names_are_free(rollback, restoring))
    except ComeBackLater as later:
        return _ask_again(rollback, later, restoring, world)
    after = begun(rollback, asked, restoring, world.clock.now(), **what)
    progress = after.database
    if progress is None or progress.ended_at is not None:
        return after
    lost: list[str] = []
    for check in asked:
        if check.verdict is Verdict.FAIL:
            progress = progress.noted(f"overridden by force: {check.name}: {check.reason}")
            lost += check.evidence.get("can_be_lost", ())
        elif check.verdict is Verdict.WARN and check.name in _TOLD_IN_REPORT:
            progress = progress.noted(f"{check.name}: {check.reason}")
    return after.but(database=progress.but(can_be_lost=tuple(lost)))


def _names_are_free(rollback: Rollback, restoring: Restoring) -> Check:
    """A branch of that name is taken for what the restore made: nobody else's may have it when it begins."""
    names = (preview_name(rollback.id), backup_name(rollback.id))
    taken = ", ".join(name for name in names if restoring.databases.branch_named(name) is not None)
    why_not = f"there is a branch {taken} already: rename it, and start again"
    return Check(
        name="branch-names-are-free",
        verdict=Verdict.FAIL if taken else Verdict.PASS,
        reason=why_not if taken else f"no branch is called {' or '.join(names)}",
    )


def _ask_again(rollback: Rollback, later: ComeBackLater, restoring: Restoring, world: World) -> Rollback:
    """Services run meanwhile."""
    now, limit = world.clock.now(), restoring.target.restore_timeout_minutes
    since = rollback.database_waits_since or now
    if now - since <= timedelta(minutes=limit):
        compute = later.announces if isinstance(later, SourceHasNoCompute) else None
        waiting = rollback.but(database_waits_since=since, wait_seconds=wait_for(later, world))
        return waiting.but(source_compute=compute, wait_seconds=0) if compute is not None else waiting
    before = BranchBefore(name=restoring.target.branch_id, protected=False)
    why = f"Neon and the database could not be asked in {limit:g} minutes: {later}; nothing was changed"
    progress = DatabaseProgress(started_at=now, before=before, collided=True)
    return rollback.but(database=progress.given_up(why, now).ended(Ending.REFUSED, now), wait_seconds=0)
