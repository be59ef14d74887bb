"""Deliveries in the ledger: the fake and the table keep the same promises."""

from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from support.builders import NOW, rollback
from support.ledger_tables import new_table

from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.errors import Conflict
from rollback.ports.ledger import Ledger

ID = rollback().id


@pytest.fixture(params=["fake", "real"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fake":
        return FakeLedger()
    return DynamoLedger(*new_table(request.getfixturevalue("cloud").client("dynamodb")))


def wanted(channel: Channel = Channel.CHAT, rollback_id: str = ID, seconds: int = 0) -> Delivery:
    at = NOW + timedelta(seconds=seconds)
    expires_at = NOW + timedelta(days=400)
    return Delivery(rollback_id=rollback_id, channel=channel, expires_at=expires_at).want("concluded", 1, at)


def put(ledger: Ledger, delivery: Delivery, previous: Delivery | None = None) -> Delivery:
    ledger.put_delivery(delivery, previous)
    stored = ledger.delivery(delivery.rollback_id, delivery.channel)
    assert stored is not None
    return stored


def test_a_delivery_is_read_back_with_its_next_version(ledger: Ledger) -> None:
    assert ledger.delivery(ID, Channel.CHAT) is None
    assert put(ledger, wanted()) == wanted().model_copy(update={"version": 1})
    assert ledger.delivery(ID, Channel.ISSUE) is None


def test_a_second_first_write_conflicts(ledger: Ledger) -> None:
    put(ledger, wanted())
    with pytest.raises(Conflict):
        ledger.put_delivery(wanted(), None)


def test_a_write_over_a_changed_delivery_conflicts_and_changes_nothing(ledger: Ledger) -> None:
    first = put(ledger, wanted())
    second = put(ledger, first.claim(NOW), first)
    with pytest.raises(Conflict):
        ledger.put_delivery(first.mark_delivered("concluded", "late", NOW), first)
    assert ledger.delivery(ID, Channel.CHAT) == second
    assert [delivery.version for delivery in ledger.due_deliveries()] == [2]


def test_due_deliveries_are_listed_newest_first_until_they_are_delivered(ledger: Ledger) -> None:
    older = put(ledger, wanted())
    newer = put(ledger, wanted(Channel.EVENTS, seconds=1))
    assert list(ledger.due_deliveries()) == [newer, older]
    put(ledger, newer.mark_delivered("concluded", "e", NOW), newer)
    assert list(ledger.due_deliveries()) == [older]
    put(ledger, older.give_up(), older)
    assert list(ledger.due_deliveries()) == []


def test_another_wanted_state_keeps_one_entry(ledger: Ledger) -> None:
    first = put(ledger, wanted())
    second = put(ledger, first.want("data_loss_reported", 2, NOW + timedelta(hours=1)), first)
    assert list(ledger.due_deliveries()) == [second]
    shown = put(ledger, second.mark_delivered("concluded", "e", NOW), second)
    assert list(ledger.due_deliveries()) == [shown]


def test_every_due_delivery_is_listed_however_many_there_are(ledger: Ledger) -> None:
    for number in range(120):
        put(ledger, wanted(rollback_id=f"express-api-{number:03}-x", seconds=number))
    assert len(list(ledger.due_deliveries())) == 120
