"""Sequences across a restore: read behind the fence before it, set after it, before any service starts.

The only SQL of ours that writes. Nothing of it can fail a restore: what Postgres refuses is told in the report.
"""

from datetime import datetime, timedelta

from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.database.sequences import (
    MOST_NAMED,
    MOST_SEQUENCES,
    Name,
    SequenceCarried,
    SequenceValue,
    merge_readings,
    plan_sequence_carry,
    select_values_to_keep,
)
from rollback.errors import CallRefused, ExternalServiceError

_PATIENCE = timedelta(minutes=2)  # services stand at zero: a database that does not answer is left as it is


def read_sequences_on_branch(branch_id: str, restoring: RestoreContext) -> tuple[SequenceValue, ...] | None:
    """The values on a branch; None: not readable, or more than a document takes.

    Raises:
        RetryLater: the database is waking up.
    """
    try:
        found = tuple(_all_sequences(branch_id, restoring))
    except CallRefused:
        return None
    return found if len(found) <= MOST_SEQUENCES // 2 else None  # beside those that are read behind the fence


def record_sequences(progress: DatabaseProgress, restoring: RestoreContext) -> DatabaseProgress:
    """Keep the values that the restore takes back, of all databases; those that have not moved since are left out.

    Raises:
        RetryLater: the database is waking up.
    """
    try:
        now = _all_sequences(restoring.target.branch_id, restoring)
    except CallRefused as refused:
        note = f"sequences could not be read, so that ids of lost rows may come again: {refused}"
        return progress.add_note(note).evolve(sequences=progress.sequences or (), is_sequence_reread_needed=False)
    kept = select_values_to_keep(now, progress.preview_sequences)
    if (
        progress.is_sequence_reread_needed
    ):  # the restore was announced before: what is seen now may be taken back already
        kept = merge_readings(progress.sequences or (), kept)
    hidden = sum(not one.is_readable for one in now)
    if hidden:
        note = f"{hidden} sequences can't be read by role {restoring.target.role}: ids of lost rows may come again"
        progress = progress.add_note(note)
    left_out = max(0, len(kept) - MOST_SEQUENCES)
    read = tuple(kept[:MOST_SEQUENCES])
    return progress.evolve(sequences=read, sequences_left_out=left_out, is_sequence_reread_needed=False)


def reset_sequences(progress: DatabaseProgress) -> DatabaseProgress:
    """The fence is made anew: programs may have taken values meanwhile.

    Those that were read before a restore was announced are kept: it may be made before they can be read again.
    """
    if progress.restore_asked_at is None:
        return progress.evolve(sequences=None)
    return progress.evolve(is_sequence_reread_needed=progress.sequences is not None)


def carry_sequences(progress: DatabaseProgress, restoring: RestoreContext, now: datetime) -> DatabaseProgress:
    """Have the restored sequences continue behind the values of lost rows; made again, it changes nothing.

    Raises:
        ExternalServiceError: Neon or the database does not answer; the intent stays, and the call is made again.
    """
    target = restoring.target
    try:
        restored = {one.identity: one for one in _all_sequences(target.branch_id, restoring)}
        wanted, told = plan_sequence_carry(progress.sequences or (), restored, target.database)
        refused = _set_sequences(wanted, restoring)
    except CallRefused as failure:
        return _note_not_carried(progress, str(failure))
    except ExternalServiceError as failure:  # Neon's API too, of whatever kind
        asked_at = progress.intent.at if progress.intent is not None else now
        if now - asked_at < _PATIENCE:
            raise
        return _note_not_carried(progress, str(failure))
    told += [one.model_copy(update={"why_not": refused.get(there.identity, "")}) for there, one in wanted]
    if progress.sequences_left_out:
        more = f"{progress.sequences_left_out} more sequences were not continued: set them by hand"
        progress = progress.add_note(more)
    return progress.evolve(
        intent=None,
        preview_sequences=None,
        sequences=(),
        sequences_carried=tuple(sorted(told, key=lambda one: (not one.why_not, one.name)))[:MOST_NAMED],
        more_sequences_carried=max(0, len(told) - MOST_NAMED),
    )


def _set_sequences(wanted: list[tuple[SequenceValue, SequenceCarried]], restoring: RestoreContext) -> dict[Name, str]:
    address, refused = restoring.address(restoring.target.branch_id), dict[Name, str]()
    for database in sorted({there.database for there, _ in wanted}):
        values = [(there, carried.value) for there, carried in wanted if there.database == database]
        refused.update(restoring.sql.set_sequences(address, database, values))
    return refused


def _note_not_carried(progress: DatabaseProgress, why: str) -> DatabaseProgress:
    note = f"sequences could not be continued, so that ids of lost rows may come again: {why}"
    return progress.add_note(note).evolve(intent=None, sequences=(), sequences_carried=())


def _all_sequences(branch_id: str, restoring: RestoreContext) -> list[SequenceValue]:
    address = restoring.address(branch_id)
    names = [one.name for one in restoring.sql.databases(address) if one.can_connect]
    return [one for name in names for one in restoring.sql.sequences(address, name)]
