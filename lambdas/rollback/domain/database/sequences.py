"""Sequences across a restore: the values that were given out, and the value from which each continues.

A restore also takes sequences back, so new rows would reuse ids of removed rows. An e-mail or a payment that refers to
such an id would then mean another row. The last values are read behind the fence, before the restore. A restored
sequence may be up to 32 values ahead of the restore point: Postgres logs values ahead (`SEQ_LOG_VALS` in
commands/sequence.c), and a restore replays the log.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

MAX_SEQUENCES = 1_000  # in a document, before the restore: about 100 bytes each
MAX_NAMED = 50  # in a document and a report, after it
Name = tuple[str, str, str]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it


class SequenceValue(_Stored):
    """A sequence and the last value that it gave out.

    Attributes:
        database: its database.
        schema_name: its schema.
        name: its name.
        last_value: last value that it gave out; None: it has given out none.
        increment: step between values; negative for a descending sequence.
        minimum: lower bound.
        maximum: upper bound.
        cycles: after its bound the sequence starts again.
        is_readable: the role of the connection may read the value.
    """

    database: str
    schema_name: str
    name: str
    last_value: int | None = None
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cycles: bool = False
    is_readable: bool = True

    @property
    def identity(self) -> Name:
        """Database, schema and name: the same on another branch."""
        return self.database, self.schema_name, self.name

    def in_words(self, database: str) -> str:
        """`schema.name`, after its database if that is not the main one.

        Args:
            database: the main database.
        """
        prefix = "" if self.database == database else f"{self.database}."
        return f"{prefix}{self.schema_name}.{self.name}"


class SequenceCarried(_Stored):
    """A sequence that continues after the values of removed rows.

    Attributes:
        name: `schema.name`, after its database if that is not the main one.
        value: value behind which it continues.
        before: last value on the restored branch; None: it had given out none there.
        increment: step between values.
        why_not: why it could not be set; empty: it was set.
    """

    name: str
    value: int
    before: int | None = None
    increment: int = 1
    why_not: str = ""

    def in_words(self) -> str:
        """Line of the report."""
        if self.why_not:
            return (
                f"{self.name} could not be advanced to {self.value:,}: {self.why_not}; new rows may reuse ids of "
                "removed rows"
            )
        instead = f"instead of {self.before:,}" if self.before is not None else "instead of its beginning"
        return f"{self.name} continues after {self.value:,} {instead}: new rows reuse no id of a removed row"


def select_values_to_keep(
    values: Iterable[SequenceValue], restored: Iterable[SequenceValue] | None
) -> list[SequenceValue]:
    """Select the sequences that have given out a value which the restore takes back.

    Args:
        values: last values before the restore.
        restored: values at the restore point; None: they are not known, so all used sequences are selected.
    """
    used_sequences = [sequence for sequence in values if sequence.last_value is not None]
    if restored is None:
        return used_sequences
    restored_values = {sequence.identity: sequence for sequence in restored}
    return [
        sequence
        for sequence in used_sequences
        if sequence.identity in restored_values
        and value_to_set(sequence, restored_values[sequence.identity]) is not None
    ]


def merge_readings(earlier: Iterable[SequenceValue], later: Iterable[SequenceValue]) -> list[SequenceValue]:
    """Merge two readings by the furthest values: a restore between them may have taken a sequence back."""
    furthest = {sequence.identity: sequence for sequence in earlier}
    for sequence in later:
        earlier_value = furthest.get(sequence.identity)
        value = value_to_set(earlier_value, sequence) if earlier_value is not None and not sequence.cycles else None
        furthest[sequence.identity] = sequence if value is None else sequence.model_copy(update={"last_value": value})
    return list(furthest.values())


def value_to_set(recorded: SequenceValue, restored: SequenceValue) -> int | None:
    """The value behind which a restored sequence has to continue; None: it needs no change.

    A sequence that may cycle has no furthest value, and continues where it was before the restore.
    """
    if recorded.last_value is None or recorded.last_value == restored.last_value:
        return None
    if restored.last_value is None or restored.cycles:
        return recorded.last_value
    further = max if restored.increment > 0 else min
    furthest = further(recorded.last_value, restored.last_value)
    return None if furthest == restored.last_value else furthest


def why_not_set(value: int, restored: SequenceValue) -> str:
    """Say why the restored sequence could give out no value after the given one; empty: it could."""
    if not restored.minimum <= value <= restored.maximum:
        return f"its bounds are {restored.minimum:,} to {restored.maximum:,} after the restore"
    following = value + restored.increment
    if not restored.cycles and not restored.minimum <= following <= restored.maximum:
        return "it would have no value left"
    return ""


def plan_sequence_carry(
    recorded_values: Iterable[SequenceValue], restored: Mapping[Name, SequenceValue], database: str
) -> tuple[list[tuple[SequenceValue, SequenceCarried]], list[SequenceCarried]]:
    """Plan which sequences to set.

    Args:
        recorded_values: sequences before the restore.
        restored: sequences on the restored branch, by identity.
        database: the main database.

    Returns:
        Pairs of a restored sequence and its entry for the report, then entries of the sequences that can't be set.
    """
    settable: list[tuple[SequenceValue, SequenceCarried]] = []
    unsettable: list[SequenceCarried] = []
    for sequence in recorded_values:
        current = restored.get(sequence.identity)
        value = value_to_set(sequence, current) if current is not None else None
        if current is None or value is None:  # a sequence that is gone gives out no value
            continue
        entry = SequenceCarried(
            name=sequence.in_words(database),
            value=value,
            before=current.last_value,
            increment=current.increment,
            why_not=why_not_set(value, current) or ("" if current.is_readable else "the role may not read it"),
        )
        if entry.why_not:
            unsettable.append(entry)
        else:
            settable.append((current, entry))
    return settable, unsettable
