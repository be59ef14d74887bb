"""Items of approvals: the first decision counts, and takes the token away; embedded cloud and fake alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from support.builders import NOW, rollback
from support.ledger_tables import new_table

from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.adapters.ledger.table import key
from rollback.domain.approval.gate import Decision, DecisionKind
from rollback.errors import UnreadableItem

ID, NONCE = rollback().id, "0123456789abcdef"
SOON = NOW + timedelta(hours=1)
APPROVED = Decision(kind=DecisionKind.APPROVED, by="ada", is_verified=True, reason="looks right", at=NOW)
REJECTED = Decision(kind=DecisionKind.REJECTED, by="grace", reason="no", at=NOW)

Ledger = DynamoLedger | FakeLedger


@pytest.fixture(params=["fake", "real"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fake":
        return FakeLedger()
    return DynamoLedger(*new_table(request.getfixturevalue("cloud").client("dynamodb")))


def test_a_decision_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    assert ledger.approval_decision(ID, NONCE) is None
    recorded = ledger.put_approval_decision(ID, NONCE, APPROVED)
    assert (recorded.decision, recorded.is_new, recorded.token) == (APPROVED, True, None)
    assert ledger.approval_decision(ID, NONCE) == APPROVED


def test_the_first_decision_counts(ledger: Ledger) -> None:
    ledger.put_approval_decision(ID, NONCE, REJECTED)
    recorded = ledger.put_approval_decision(ID, NONCE, APPROVED)
    assert (recorded.decision, recorded.is_new) == (REJECTED, False)
    assert ledger.approval_decision(ID, NONCE) == REJECTED


def test_a_decision_that_is_sent_twice_is_the_same_decision(ledger: Ledger) -> None:
    ledger.put_approval_decision(ID, NONCE, APPROVED)
    assert ledger.put_approval_decision(ID, NONCE, APPROVED).is_new


def test_the_decision_takes_the_last_token_away(ledger: Ledger) -> None:
    assert ledger.put_approval_token(ID, NONCE, b"\x00first", SOON)
    assert ledger.put_approval_token(ID, NONCE, b"\x00second", SOON)
    assert ledger.put_approval_decision(ID, NONCE, APPROVED).token == b"\x00second"
    assert ledger.put_approval_decision(ID, NONCE, APPROVED).token is None


def test_no_token_is_stored_after_the_decision(ledger: Ledger) -> None:
    ledger.put_approval_decision(ID, NONCE, REJECTED)
    assert not ledger.put_approval_token(ID, NONCE, b"late", SOON)


def test_a_decision_about_an_earlier_gate_of_the_same_rollback_does_not_count(ledger: Ledger) -> None:
    ledger.put_approval_decision(ID, NONCE, APPROVED)
    assert ledger.approval_decision(ID, "another gate") is None
    assert ledger.put_approval_token(ID, "another gate", b"token", SOON)


def test_one_of_eight_simultaneous_decisions_counts(ledger: Ledger) -> None:
    ledger.put_approval_token(ID, NONCE, b"token", SOON)
    decisions = [APPROVED.model_copy(update={"by": f"person-{n}"}) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        recorded = list(pool.map(lambda decision: ledger.put_approval_decision(ID, NONCE, decision), decisions))
    (new,) = (one for one in recorded if one.is_new)
    assert new.token == b"token"
    assert {one.decision for one in recorded} == {new.decision}


def test_a_damaged_decision_stops_every_other(request: pytest.FixtureRequest) -> None:
    client, name = new_table(request.getfixturevalue("cloud").client("dynamodb"))
    ledger = DynamoLedger(client, name)
    client.put_item(
        TableName=name, Item={**key(f"APPROVAL#{ID}", f"DECISION#{NONCE}"), "body": {"S": '{"kind": "maybe"}'}}
    )
    with pytest.raises(UnreadableItem, match=f"APPROVAL#{ID} / DECISION#{NONCE}"):
        ledger.put_approval_decision(ID, NONCE, APPROVED)


def test_a_damaged_token_goes_away_with_the_decision(request: pytest.FixtureRequest) -> None:
    client, name = new_table(request.getfixturevalue("cloud").client("dynamodb"))
    ledger = DynamoLedger(client, name)
    at = key(f"APPROVAL#{ID}", f"TOKEN#{NONCE}")
    client.put_item(TableName=name, Item=at)
    assert ledger.put_approval_decision(ID, NONCE, APPROVED).token is None
    assert "Item" not in client.get_item(TableName=name, Key=at)
