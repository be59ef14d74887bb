"""What the ledger knows of a branch's history: the timeline of the last look, and the restores of our own rollbacks."""

from datetime import datetime, timedelta

from rollback.database.preflight.branch_history_rules import BranchHistory, OwnRestore
from rollback.domain.database.progress import backup_name
from rollback.domain.ledger_index import ChangeEntry
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy, branch_key
from rollback.leases.holder import find_rollback
from rollback.ports.world import World

_LONGEST_ROLLBACK = timedelta(days=1)  # from its admission to its end


def read_branch_history(branch: str, since: datetime, world: World) -> BranchHistory:
    """The history of a branch from a time on.

    Args:
        branch: its partition in the ledger.
        since: restores before then are of no interest: no position from before then is asked about.
    """
    restores = tuple(
        restored
        for writer in world.settings.writers()
        for change in world.ledger.changes(writer.name, since - _LONGEST_ROLLBACK).items
        if change.has_changed_data and (restored := _find_restore(change, branch, world)) is not None
    )
    seen = world.ledger.observation(branch)
    is_since = seen is not None and all(restored.at <= seen.observed_at for restored in restores)
    return BranchHistory(timeline=seen.timeline if seen is not None and is_since else None, restores=restores)


def _find_restore(change: ChangeEntry, branch: str, world: World) -> OwnRestore | None:
    """None: it was about another branch, or ran down-migrations, which leave the history as it is."""
    rollback = find_rollback(change.rollback_id, world)
    if rollback is None:  # what it did is not known: taken for a restore
        at = change.concluded_at or change.admitted_at + _LONGEST_ROLLBACK
        return OwnRestore(change.rollback_id, min(at, world.clock.now()), backup_name(change.rollback_id))
    if not _replaced_data(rollback, branch, world):
        return None
    progress = rollback.database
    assert progress is not None  # noqa: S101 - it changed data
    at = progress.accepted_at or progress.ended_at or progress.data_change_announced_at or world.clock.now()
    return OwnRestore(rollback.id, at, backup_name(rollback.id))


def _replaced_data(rollback: Rollback, branch: str, world: World) -> bool:
    planned = rollback.plan.database if rollback.plan is not None else None
    settings = world.settings.database
    if planned is None or settings is None:
        return True  # where the change was made is not known
    return (
        planned.strategy is not Strategy.DOWN_MIGRATIONS and branch_key(settings.project_id, planned.branch) == branch
    )
