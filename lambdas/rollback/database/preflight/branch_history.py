"""Read a branch's history from the ledger: the timeline of the last observation, and our rollbacks' restores."""

from datetime import datetime, timedelta

from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.database.preflight.timeline import BranchHistory, OwnRestore
from rollback.domain.database.progress import backup_name
from rollback.domain.ledger.index import ChangeEntry
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy, branch_key
from rollback.leases.holder import find_rollback
from rollback.ports.holders import HasSettings

_MAX_ROLLBACK = timedelta(days=1)  # from its admission to its end


def read_branch_history(branch: str, since: datetime, ports: BranchHistoryPorts) -> BranchHistory:
    """Read the history of a branch from a time on.

    Args:
        branch: the branch's partition in the ledger.
        since: time of the earliest position that the caller asks about; earlier restores are left out.
    """
    restores = tuple(
        restore
        for writer in ports.settings.writers()
        for change in ports.ledger.changes(writer.name, since - _MAX_ROLLBACK).items
        if change.has_changed_data and (restore := _find_restore(change, branch, ports)) is not None
    )
    last_observation = ports.ledger.observation(branch)
    if last_observation is None or any(restore.at > last_observation.observed_at for restore in restores):
        return BranchHistory(timeline=None, restores=restores)
    return BranchHistory(timeline=last_observation.timeline, restores=restores)


def _find_restore(change: ChangeEntry, branch: str, ports: BranchHistoryPorts) -> OwnRestore | None:
    """The restore that a rollback made. None: another branch was changed, or down-migrations kept the history."""
    rollback = find_rollback(change.rollback_id, ports)
    if rollback is not None and not _replaced_data(rollback, branch, ports):
        return None
    progress = rollback.database if rollback is not None else None
    if progress is None:  # no record of its change can be read, so it counts as a restore
        at = change.concluded_at or change.admitted_at + _MAX_ROLLBACK
        return OwnRestore(change.rollback_id, min(at, ports.clock.now()), backup_name(change.rollback_id))
    at = progress.accepted_at or progress.ended_at or progress.data_change_announced_at or ports.clock.now()
    return OwnRestore(change.rollback_id, at, backup_name(change.rollback_id))


def _replaced_data(rollback: Rollback, branch: str, ports: HasSettings) -> bool:
    planned = rollback.plan.database if rollback.plan is not None else None
    settings = ports.settings.database
    if planned is None or settings is None:
        return True  # an unknown branch may be this branch
    return (
        planned.strategy is not Strategy.DOWN_MIGRATIONS and branch_key(settings.project_id, planned.branch) == branch
    )
