"""Sequences across a restore: read behind the fence before it, set after it, before any service starts.

The only SQL of ours that writes. Nothing of it can fail a restore: what Postgres refuses is told in the report.
"""

from datetime import datetime, timedelta

from rollback.database.preflight.context import Restoring
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.database.sequences import (
    MOST_NAMED,
    MOST_SEQUENCES,
    Name,
    SequenceCarried,
    SequenceValue,
    furthest_of,
    remembered,
    to_carry,
)
from rollback.errors import CallRefused, OutsideFailure

_PATIENCE = timedelta(minutes=2)  # services stand at zero: a database that does not answer is left as it is


def sequences_at(branch_id: str, restoring: Restoring) -> tuple[SequenceValue, ...] | None:
    """The values on a branch; None: not readable, or more than a document takes.

    Raises:
        ComeBackLater: the database is waking up.
    """
    try:
        found = tuple(_all_sequences(branch_id, restoring))
    except CallRefused:
        return None
    return found if len(found) <= MOST_SEQUENCES // 2 else None  # beside those that are read behind the fence


def read_sequences(progress: DatabaseProgress, restoring: Restoring) -> DatabaseProgress:
    """Keep the values that the restore takes back, of all databases; those that have not moved since are left out.

    Raises:
        ComeBackLater: the database is waking up.
    """
    try:
        now = _all_sequences(restoring.target.branch_id, restoring)
    except CallRefused as refused:
        note = f"sequences could not be read, so that ids of lost rows may come again: {refused}"
        return progress.noted(note).but(sequences=progress.sequences or (), sequences_to_read_again=False)
    kept = remembered(now, progress.preview_sequences)
    if progress.sequences_to_read_again:  # the restore was announced before: what is seen now may be taken back already
        kept = furthest_of(progress.sequences or (), kept)
    hidden = sum(not one.is_readable for one in now)
    if hidden:
        note = f"{hidden} sequences can't be read by role {restoring.target.role}: ids of lost rows may come again"
        progress = progress.noted(note)
    left_out = max(0, len(kept) - MOST_SEQUENCES)
    read = tuple(kept[:MOST_SEQUENCES])
    return progress.but(sequences=read, sequences_left_out=left_out, sequences_to_read_again=False)


def with_sequences_to_read(progress: DatabaseProgress) -> DatabaseProgress:
    """The fence is made anew: programs may have taken values meanwhile.

    Those that were read before a restore was announced are kept: it may be made before they can be read again.
    """
    if progress.restore_asked_at is None:
        return progress.but(sequences=None)
    return progress.but(sequences_to_read_again=progress.sequences is not None)


def carry_sequences(progress: DatabaseProgress, restoring: Restoring, now: datetime) -> DatabaseProgress:
    """Have the restored sequences continue behind the values of lost rows; made again, it changes nothing.

    Raises:
        OutsideFailure: Neon or the database does not answer; the intent stays, and the call is made again.
    """
    target = restoring.target
    try:
        restored = {one.identity: one for one in _all_sequences(target.branch_id, restoring)}
        wanted, told = to_carry(progress.sequences or (), restored, target.database)
        refused = _set(wanted, restoring)
    except CallRefused as failure:
        return _not_carried(progress, str(failure))
    except OutsideFailure as failure:  # Neon's API too, of whatever kind
        asked_at = progress.intent.at if progress.intent is not None else now
        if now - asked_at < _PATIENCE:
            raise
        return _not_carried(progress, str(failure))
    told += [one.model_copy(update={"why_not": refused.get(there.identity, "")}) for there, one in wanted]
    if progress.sequences_left_out:
        more = f"{progress.sequences_left_out} more sequences were not continued: set them by hand"
        progress = progress.noted(more)
    return progress.but(
        intent=None,
        preview_sequences=None,
        sequences=(),
        sequences_carried=tuple(sorted(told, key=lambda one: (not one.why_not, one.name)))[:MOST_NAMED],
        more_sequences_carried=max(0, len(told) - MOST_NAMED),
    )


def _set(wanted: list[tuple[SequenceValue, SequenceCarried]], restoring: Restoring) -> dict[Name, str]:
    address, refused = restoring.address(restoring.target.branch_id), dict[Name, str]()
    for database in sorted({there.database for there, _ in wanted}):
        values = [(there, carried.value) for there, carried in wanted if there.database == database]
        refused.update(restoring.sql.set_sequences(address, database, values))
    return refused


def _not_carried(progress: DatabaseProgress, why: str) -> DatabaseProgress:
    note = f"sequences could not be continued, so that ids of lost rows may come again: {why}"
    return progress.noted(note).but(intent=None, sequences=(), sequences_carried=())


def _all_sequences(branch_id: str, restoring: Restoring) -> list[SequenceValue]:
    address = restoring.address(branch_id)
    names = [one.name for one in restoring.sql.databases(address) if one.can_connect]
    return [one for name in names for one in restoring.sql.sequences(address, name)]
