"""Sequences across a restore: read behind the fence before the restore, and set after it, before any service starts.

This is the only SQL of ours that writes. None of it can fail a restore: the report lists the sequences that Postgres
refuses to set.
"""

from datetime import datetime, timedelta
from typing import Any

from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import OverwriteProgress, RestoreProgress
from rollback.domain.database.sequences import (
    MAX_NAMED,
    MAX_SEQUENCES,
    Name,
    SequenceCarried,
    SequenceValue,
    merge_readings,
    plan_sequence_carry,
    select_values_to_keep,
)
from rollback.errors import CallRefused, ExternalServiceError

_RETRY_LIMIT = timedelta(minutes=2)  # services have zero tasks during these retries


def read_sequences_on_branch(branch_id: str, context: BranchContext) -> tuple[SequenceValue, ...] | None:
    """Read the values on a branch; None: not readable, or more than a document takes.

    Raises:
        RetryLater: the database is waking up.
    """
    try:
        sequences = tuple(_all_sequences(branch_id, context))
    except CallRefused:
        return None
    return sequences if len(sequences) <= MAX_SEQUENCES // 2 else None  # the values behind the fence need room too


def record_sequences(progress: OverwriteProgress, context: BranchContext) -> OverwriteProgress:
    """Keep the values that the restore takes back, of all databases. Values that have not moved since are left out.

    Raises:
        RetryLater: the database is waking up.
    """
    try:
        current_sequences = _all_sequences(context.settings.branch_id, context)
    except CallRefused as refused:
        note = f"sequences could not be read, so that new rows may reuse ids of removed rows: {refused}"
        return progress.add_note(note).evolve(sequences=progress.sequences or (), is_sequence_reread_needed=False)
    at_restore_point = progress.preview_sequences if isinstance(progress, RestoreProgress) else None
    values_to_keep = select_values_to_keep(current_sequences, at_restore_point)
    if progress.is_sequence_reread_needed:  # an announced restore may have taken these values back already
        values_to_keep = merge_readings(progress.sequences or (), values_to_keep)
    unreadable_count = sum(not sequence.is_readable for sequence in current_sequences)
    if unreadable_count:
        note = (
            f"role {context.settings.role} can't read {unreadable_count} sequences: new rows may reuse ids of removed "
            "rows"
        )
        progress = progress.add_note(note)
    left_out = max(0, len(values_to_keep) - MAX_SEQUENCES)
    return progress.evolve(
        sequences=tuple(values_to_keep[:MAX_SEQUENCES]), sequences_left_out=left_out, is_sequence_reread_needed=False
    )


def reset_sequences(progress: OverwriteProgress) -> OverwriteProgress:
    """Have sequences read again, since the fence is made again and programs may have taken values in between.

    Values that were read before a restore was announced are kept: the restore may come before the next reading.
    """
    if progress.data_change_announced_at is None:
        return progress.evolve(sequences=None)
    return progress.evolve(is_sequence_reread_needed=progress.sequences is not None)


def carry_sequences(progress: OverwriteProgress, context: BranchContext, now: datetime) -> dict[str, Any]:
    """Have the restored sequences continue behind the values of removed rows. Repeated, this changes nothing.

    Returns:
        Fields of the progress.

    Raises:
        ExternalServiceError: Neon or the database does not answer; the announcement stays, and the call is repeated.
    """
    branch_settings = context.settings
    try:
        restored_sequences = {
            sequence.identity: sequence for sequence in _all_sequences(branch_settings.branch_id, context)
        }
        settable, entries = plan_sequence_carry(progress.sequences or (), restored_sequences, branch_settings.database)
        refusals = _set_sequences(settable, context)
    except CallRefused as failure:
        return _not_carried(progress, str(failure))
    except ExternalServiceError as failure:  # Neon's API too
        asked_at = progress.intent.at if progress.intent is not None else now
        if now - asked_at < _RETRY_LIMIT:
            raise
        return _not_carried(progress, str(failure))
    entries += [entry.model_copy(update={"why_not": refusals.get(value.identity, "")}) for value, entry in settable]
    if progress.sequences_left_out:
        note = f"{progress.sequences_left_out} more sequences were not advanced: set each by SELECT setval(…)"
        progress = progress.add_note(note)
    not_needed = {"preview_sequences": None} if isinstance(progress, RestoreProgress) else {}
    return {
        "notes": progress.notes,
        "sequences": (),
        "sequences_carried": tuple(sorted(entries, key=lambda entry: (not entry.why_not, entry.name)))[:MAX_NAMED],
        "more_sequences_carried": max(0, len(entries) - MAX_NAMED),
        **not_needed,
    }


def _set_sequences(settable: list[tuple[SequenceValue, SequenceCarried]], context: BranchContext) -> dict[Name, str]:
    address, refusals = context.address(context.settings.branch_id), dict[Name, str]()
    for database in sorted({value.database for value, _ in settable}):
        values = [(value, carried.value) for value, carried in settable if value.database == database]
        refusals.update(context.sql.set_sequences(address, database, values))
    return refusals


def _not_carried(progress: OverwriteProgress, reason: str) -> dict[str, Any]:
    note = f"sequences could not be advanced, so that new rows may reuse ids of removed rows: {reason}"
    return {"notes": progress.add_note(note).notes, "sequences": (), "sequences_carried": ()}


def _all_sequences(branch_id: str, context: BranchContext) -> list[SequenceValue]:
    address = context.address(branch_id)
    names = [database.name for database in context.sql.databases(address) if database.can_connect]
    return [sequence for name in names for sequence in context.sql.sequences(address, name)]
