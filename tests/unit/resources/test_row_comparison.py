"""Two sides in one order are compared exactly, whatever is on them, and with bounded memory."""

from collections import Counter

import pytest
from hypothesis import given, strategies

from rollback.resources.database.relation import Bucket
from rollback.resources.database.row_comparison import RowDifference, RowDigest, compare_rows, differing_buckets

KEYED = strategies.dictionaries(strategies.integers(0, 40), strategies.integers(0, 3))
KEYLESS = strategies.lists(strategies.integers(0, 20), max_size=60)


def keyed(rows: dict[int, int]) -> list[RowDigest]:
    return sorted(RowDigest(key % 7, f"[{key}]", digest) for key, digest in rows.items())


def keyless(rows: list[int]) -> list[RowDigest]:
    return sorted(RowDigest(row, "", 0, copies) for row, copies in Counter(rows).items())


@given(before=KEYED, after=KEYED)
def test_keyed_rows_are_gone_changed_or_back(before: dict[int, int], after: dict[int, int]) -> None:
    found = compare_rows(keyed(before), keyed(after), 100)
    assert found.gone_keys == tuple(sorted(f"[{key}]" for key in before.keys() - after.keys()))
    assert found.changed_keys == tuple(
        sorted(f"[{key}]" for key in before.keys() & after.keys() if before[key] != after[key])
    )
    assert (found.gone, found.changed) == (len(found.gone_keys), len(found.changed_keys))
    assert found.back == len(after.keys() - before.keys())


@given(before=KEYLESS, after=KEYLESS)
def test_rows_without_a_key_are_counted_by_their_copies(before: list[int], after: list[int]) -> None:
    found = compare_rows(keyless(before), keyless(after), 100)
    gone, back = Counter(before) - Counter(after), Counter(after) - Counter(before)
    assert found == RowDifference(gone=gone.total(), back=back.total())


def test_examples_are_few_and_counts_are_exact() -> None:
    before = [RowDigest(number, f"[{number}]", 0) for number in range(1000)]
    found = compare_rows(before, iter(()), 5)
    assert (found.gone, len(found.gone_keys)) == (1000, 5)


def test_sides_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        compare_rows([RowDigest(2, "", 0), RowDigest(1, "", 0)], [], 5)


def test_only_buckets_that_differ_are_read() -> None:
    one, other = Bucket(rows=1, digest="7"), Bucket(rows=1, digest="8")
    assert differing_buckets({1: one, 2: one, 3: one}, {1: one, 2: other, 4: one}) == (2, 3, 4)
