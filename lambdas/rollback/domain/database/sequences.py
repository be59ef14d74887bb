"""Sequences across a restore: which values were given out, and from where each one continues.

A restore takes a sequence back with the rows. New rows would get the ids of lost ones, and whatever outside the
database knows such an id (an e-mail, a payment) would mean another row. Values are read behind the fence, before the
restore, and are the last ones that were given out. A restored sequence may be up to 32 values further than it was
at the restore point: Postgres logs them ahead (`SEQ_LOG_VALS` in commands/sequence.c), and a restore replays the log.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

MOST_SEQUENCES = 1_000  # in a document, before the restore: about 100 bytes each
MOST_NAMED = 50  # in a document and a report, after it
Name = tuple[str, str, str]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it


class SequenceValue(_Stored):
    """A sequence, and the last value it gave out; None: none yet.

    Attributes:
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
        """What it is found by on another branch."""
        return self.database, self.schema_name, self.name

    def in_words(self, database: str) -> str:
        """`schema.name`; with its database, if that is not the main one."""
        of = "" if self.database == database else f"{self.database}."
        return f"{of}{self.schema_name}.{self.name}"


class SequenceCarried(_Stored):
    """A sequence that continues behind the values of lost rows.

    Attributes:
        before: the last value on the restored branch; None: it had given out none.
        why_not: why it could not be carried; empty if it was.
    """

    name: str
    value: int
    before: int | None = None
    increment: int = 1
    why_not: str = ""

    def in_words(self) -> str:
        """For the report."""
        if self.why_not:
            return f"{self.name} could not be continued at {self.value:,}: {self.why_not}; ids of lost rows come again"
        instead = f"instead of {self.before:,}" if self.before is not None else "instead of its beginning"
        return f"{self.name} continues behind {self.value:,} {instead}: no id of a lost row is used again"


def select_values_to_keep(
    values: Iterable[SequenceValue], restored: Iterable[SequenceValue] | None
) -> list[SequenceValue]:
    """Those that have given out a value which the restore takes back, so far as is known.

    Args:
        restored: the values at the restore point; None: not known, so that all are kept.
    """
    used = [one for one in values if one.last_value is not None]
    if restored is None:
        return used
    there = {one.identity: one for one in restored}
    return [one for one in used if one.identity in there and value_to_set(one, there[one.identity]) is not None]


def merge_readings(earlier: Iterable[SequenceValue], later: Iterable[SequenceValue]) -> list[SequenceValue]:
    """Two readings of the same sequences in one: a restore between them may have taken the later one back."""
    furthest = {one.identity: one for one in earlier}
    for one in later:
        before = furthest.get(one.identity)
        value = value_to_set(before, one) if before is not None and not one.cycles else None
        furthest[one.identity] = one if value is None else one.model_copy(update={"last_value": value})
    return list(furthest.values())


def value_to_set(kept: SequenceValue, restored: SequenceValue) -> int | None:
    """The value a restored sequence has to continue behind; None: it is there already.

    One that may cycle has no greatest value: it goes on where it was.
    """
    if kept.last_value is None or kept.last_value == restored.last_value:
        return None
    if restored.last_value is None or restored.cycles:
        return kept.last_value
    further = max if restored.increment > 0 else min
    furthest = further(kept.last_value, restored.last_value)
    return None if furthest == restored.last_value else furthest


def why_not_set(value: int, restored: SequenceValue) -> str:
    """Why a value would leave the restored sequence without a next one; empty: it has one."""
    if not restored.minimum <= value <= restored.maximum:
        return f"its bounds are {restored.minimum:,} to {restored.maximum:,} again"
    following = value + restored.increment
    if not restored.cycles and not restored.minimum <= following <= restored.maximum:
        return "it would have no value left"
    return ""


def plan_sequence_carry(
    kept: Iterable[SequenceValue], restored: Mapping[Name, SequenceValue], database: str
) -> tuple[list[tuple[SequenceValue, SequenceCarried]], list[SequenceCarried]]:
    """What to set, as (restored sequence, what is told of it), and what is told of those that can't be set."""
    wanted: list[tuple[SequenceValue, SequenceCarried]] = []
    refused: list[SequenceCarried] = []
    for one in kept:
        there = restored.get(one.identity)
        value = value_to_set(one, there) if there is not None else None
        if there is None or value is None:  # a sequence that is gone gives nothing out
            continue
        name = one.in_words(database)
        why = why_not_set(value, there) or ("" if there.is_readable else "the role may not read it")
        told = SequenceCarried(name=name, value=value, before=there.last_value, increment=there.increment, why_not=why)
        if why:
            refused.append(told)
        else:
            wanted.append((there, told))
    return wanted, refused
