"""Tell what a restore took out: a compute for the backup, and both branches' tables compared.

Called until `rollback.database.lost` is set. It never changes the outcome: what can't be told is said to be so. Before
the services write again it tells exactly what is lost; later, rows that they changed meanwhile show as changed too.
"""

from datetime import timedelta
from math import ceil

from rollback.model.database_content import Columns
from rollback.model.database_errors import AlreadyExists, ComeBackLater, OutcomeUnknown
from rollback.model.database_progress import DatabaseProgress
from rollback.model.errors import OutsideFailure
from rollback.model.lost_writes import LostWritesReport, report_of
from rollback.model.rollback import Rollback
from rollback.steps.ports import World
from rollback.steps.restoring import Restoring


def tell_lost_writes(rollback: Rollback, restoring: Restoring, world: World) -> Rollback:
    """One look, at most one change: the backup's compute, which stays, asleep, for whoever looks into the backup."""
    progress, poll = rollback.database, world.settings.policy.poll_seconds
    if progress is None or progress.backup_id is None or progress.ended_at is None or progress.lost is not None:
        return rollback.but(wait_seconds=0)
    limit = timedelta(minutes=restoring.target.tidy_timeout_minutes)
    if world.clock.now() - progress.ended_at > limit:
        return _told(rollback, progress, LostWritesReport(unavailable="the backup could not be read in time"))
    try:
        if not restoring.databases.endpoints(progress.backup_id):
            restoring.databases.create_endpoint(progress.backup_id)
            return rollback.but(wait_seconds=poll)
        addresses = [
            restoring.address(branch)
            for branch in (progress.backup_id, progress.branch_id or restoring.target.branch_id)
        ]
        before, after = (restoring.sql.live_schema(address).tables for address in addresses)
        columns = _in_both(before, after)
        backup, restored = (
            restoring.sql.content(address, restoring.target.digests_up_to_rows, columns) for address in addresses
        )
    except ComeBackLater as later:
        return rollback.but(wait_seconds=max(poll, ceil(later.retry_after_seconds or 0)))
    except (AlreadyExists, OutcomeUnknown):  # the next look finds the compute, or makes it
        return rollback.but(wait_seconds=poll)
    except OutsideFailure as failure:
        return _told(rollback, progress, LostWritesReport(unavailable=str(failure)))
    return _told(rollback, progress, report_of(backup, restored, (before, after)))


def _in_both(one: Columns, other: Columns) -> dict[str, tuple[str, ...]]:
    """Columns by table: a row differs by what both sides can tell of it, not by a column that a migration took."""
    return {table: tuple(sorted({*one[table]} & {*other[table]})) for table in one.keys() & other.keys()}


def _told(rollback: Rollback, progress: DatabaseProgress, report: LostWritesReport) -> Rollback:
    return rollback.but(database=progress.but(lost=report), wait_seconds=0)
