"""Comparison of two tables' rows in bounded memory: both sides are ordered, and only counts and examples are kept."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rollback.resources.database.relation import Bucket


class RowDigest(NamedTuple):
    """Digest of a row: its hash, by which both sides are ordered, its key as a JSON array, and its values' digest.

    Without a key, `order` is the digest of the row, and `copies` is the number of rows with this digest.
    """

    order: int
    key: str
    digest: int
    copies: int = 1


@dataclass(frozen=True)
class RowDifference:
    """Number of rows that a restore removed, changed or returned.

    Attributes:
        gone: rows that only the backup has.
        changed: rows with the same key and other values.
        back: rows that only the restored branch has, since they were deleted after the restore point.
        gone_keys: examples, sorted.
        changed_keys: examples, sorted.
    """

    gone: int = 0
    changed: int = 0
    back: int = 0
    gone_keys: tuple[str, ...] = ()
    changed_keys: tuple[str, ...] = ()


def differing_buckets(before: Mapping[int, Bucket], after: Mapping[int, Bucket]) -> tuple[int, ...]:
    """List the buckets that differ, whose rows must be read."""
    return tuple(sorted(number for number in before.keys() | after.keys() if before.get(number) != after.get(number)))


def compare_rows(before: Iterable[RowDigest], after: Iterable[RowDigest], most_keys: int) -> RowDifference:
    """Count the differences between two sides, each in ascending order of (order, key).

    Raises:
        ValueError: a side has another order, so that every count would be wrong.
    """
    gone = changed = back = 0
    gone_keys: list[str] = []
    changed_keys: list[str] = []
    for backup_row, restored_row in _paired(_ascending(before), _ascending(after)):
        copies, copies_restored = backup_row.copies if backup_row else 0, restored_row.copies if restored_row else 0
        if backup_row is not None and restored_row is not None and backup_row.digest != restored_row.digest:
            changed += 1
            if len(changed_keys) < most_keys:
                changed_keys.append(backup_row.key)
        if copies > copies_restored:
            gone += copies - copies_restored
            if backup_row is not None and backup_row.key and len(gone_keys) < most_keys:
                gone_keys.append(backup_row.key)
        back += max(0, copies_restored - copies)
    return RowDifference(gone, changed, back, tuple(sorted(gone_keys)), tuple(sorted(changed_keys)))


def _paired(
    before: Iterator[RowDigest], after: Iterator[RowDigest]
) -> Iterator[tuple[RowDigest | None, RowDigest | None]]:
    backup_row, restored_row = next(before, None), next(after, None)
    while backup_row is not None or restored_row is not None:
        if restored_row is None or (backup_row is not None and backup_row[:2] < restored_row[:2]):
            yield backup_row, None
            backup_row = next(before, None)
        elif backup_row is None or restored_row[:2] < backup_row[:2]:
            yield None, restored_row
            restored_row = next(after, None)
        else:
            yield backup_row, restored_row
            backup_row, restored_row = next(before, None), next(after, None)


def _ascending(rows: Iterable[RowDigest]) -> Iterator[RowDigest]:
    last: tuple[int, str] | None = None
    for row in rows:
        if last is not None and row[:2] <= last:
            raise ValueError("rows did not come in the order of their hashes and keys")
        last = row[:2]
        yield row
