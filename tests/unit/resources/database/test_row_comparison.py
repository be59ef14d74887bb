"""Row comparison: two sides in one order are compared exactly and with bounded memory."""

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


@given(source_rows=KEYED, current_rows=KEYED)
def test_keyed_rows_are_removed_changed_or_returned(source_rows: dict[int, int], current_rows: dict[int, int]) -> None:
    comparison = compare_rows(keyed(source_rows), keyed(current_rows), 100)
    assert comparison.gone_keys == tuple(sorted(f"[{key}]" for key in source_rows.keys() - current_rows.keys()))
    assert comparison.changed_keys == tuple(
        sorted(f"[{key}]" for key in source_rows.keys() & current_rows.keys() if source_rows[key] != current_rows[key])
    )
    assert (comparison.gone, comparison.changed) == (len(comparison.gone_keys), len(comparison.changed_keys))
    assert comparison.back == len(current_rows.keys() - source_rows.keys())


@given(source_rows=KEYLESS, current_rows=KEYLESS)
def test_rows_without_a_key_are_counted_by_their_copies(source_rows: list[int], current_rows: list[int]) -> None:
    comparison = compare_rows(keyless(source_rows), keyless(current_rows), 100)
    removed_rows, returned_rows = (
        Counter(source_rows) - Counter(current_rows),
        Counter(current_rows) - Counter(source_rows),
    )
    assert comparison == RowDifference(gone=removed_rows.total(), back=returned_rows.total())


def test_a_row_comparison_has_few_examples_and_exact_counts() -> None:
    source_rows = [RowDigest(number, f"[{number}]", 0) for number in range(1000)]
    comparison = compare_rows(source_rows, iter(()), 5)
    assert (comparison.gone, len(comparison.gone_keys)) == (1000, 5)


def test_rows_in_a_different_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        compare_rows([RowDigest(2, "", 0), RowDigest(1, "", 0)], [], 5)


def test_only_buckets_that_differ_are_read() -> None:
    bucket, other_bucket = Bucket(rows=1, digest="7"), Bucket(rows=1, digest="8")
    assert differing_buckets({1: bucket, 2: bucket, 3: bucket}, {1: bucket, 2: other_bucket, 4: bucket}) == (2, 3, 4)
