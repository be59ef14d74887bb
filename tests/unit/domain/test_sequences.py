"""The value behind which a sequence continues after a restore: no row gets the id of a removed row."""

import pytest

from rollback.domain.database.sequences import (
    SequenceCarried,
    SequenceValue,
    merge_readings,
    plan_sequence_carry,
    select_values_to_keep,
    value_to_set,
)


def sequence(last_value: int | None, **more: object) -> SequenceValue:
    fields = {"database": "app", "schema_name": "public", "name": "orders_id_seq", "last_value": last_value, **more}
    return SequenceValue.model_validate(fields)


@pytest.mark.parametrize(
    ("recorded_value", "restored_value", "value"),
    [
        (sequence(5123), sequence(5000), 5123),
        (
            sequence(5000),
            sequence(5123),
            None,
        ),  # it was set back after the restore point: the restored value is further
        (sequence(5000), sequence(5000), None),
        (sequence(5123), sequence(None), 5123),  # it had given out no value at the restore point
        (sequence(None), sequence(7), None),
        (sequence(-9, increment=-1), sequence(-3, increment=-1), -9),  # descending: the least value is the furthest
        (sequence(-3, increment=-1), sequence(-9, increment=-1), None),
        (sequence(2, cycles=True), sequence(9, cycles=True), 2),  # it cycled: there is no furthest value
    ],
)
def test_a_sequence_continues_behind_its_furthest_value(
    recorded_value: SequenceValue, restored_value: SequenceValue, value: int | None
) -> None:
    assert value_to_set(recorded_value, restored_value) == value


@pytest.mark.parametrize(
    ("recorded_value", "restored_value", "reason"),
    [
        (
            sequence(5_000_000_000),
            sequence(5, maximum=2_147_483_647),
            "its bounds are 1 to 2,147,483,647 after the restore",
        ),
        (sequence(9), sequence(5, maximum=9), "it would have no value left"),
        (sequence(6), sequence(5, is_readable=False), "the role may not read it"),
    ],
)
def test_a_sequence_that_would_have_no_next_value_is_not_set(
    recorded_value: SequenceValue, restored_value: SequenceValue, reason: str
) -> None:
    values, refusals = plan_sequence_carry([recorded_value], {restored_value.identity: restored_value}, "app")
    assert values == []
    assert [refusal.why_not for refusal in refusals] == [reason]
    assert "new rows may reuse ids of removed rows" in refusals[0].in_words()


def test_only_sequences_that_the_restore_sets_back_are_selected() -> None:
    moved, still, fresh = sequence(9), sequence(4, name="still"), sequence(1, name="made_after_the_point")
    at_the_point = [sequence(5), sequence(4, name="still")]
    assert select_values_to_keep([moved, still, fresh, sequence(None, name="unused")], at_the_point) == [moved]
    assert select_values_to_keep([moved, still], None) == [moved, still], "the point was not looked at"


def test_a_sequence_that_the_restore_removed_is_not_set() -> None:
    assert plan_sequence_carry([sequence(9)], {}, "app") == ([], [])


def test_the_report_says_where_a_sequence_continues() -> None:
    carry = SequenceCarried(name="public.orders_id_seq", value=5123, before=5000)
    assert carry.in_words() == (
        "public.orders_id_seq continues after 5,123 instead of 5,000: new rows reuse no id of a removed row"
    )
    assert "instead of its beginning" in carry.model_copy(update={"before": None}).in_words()


def test_a_sequence_of_another_database_is_named_with_that_database() -> None:
    assert sequence(1, database="billing").in_words("app") == "billing.public.orders_id_seq"
    assert sequence(1).in_words("app") == "public.orders_id_seq"


def test_two_readings_are_merged_by_the_furthest_values() -> None:
    """The later reading may be of a branch that was restored in between."""
    earlier = [sequence(last_value=10), sequence(name="only_earlier", last_value=3)]
    later = [sequence(last_value=4), sequence(name="only_later", last_value=5)]
    values = {reading.name: reading.last_value for reading in merge_readings(earlier, later)}
    assert values == {"orders_id_seq": 10, "only_earlier": 3, "only_later": 5}
    assert [reading.last_value for reading in merge_readings([sequence(last_value=10)], [sequence(last_value=12)])] == [
        12
    ]
