"""The ledger's promises: conditional and transactional writes in the embedded cloud, and the fake alike."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from builders import NOW, SERVICE, definition, release, rollback
from fakes import FakeLedger

from rollback.model.errors import Conflict, LeaseLost
from rollback.model.operators import OperatorAction, Pause
from rollback.model.release import ReleaseState, normalised_definition
from rollback.model.rollback import TriggerEvent
from rollback.world.ledger import DynamoLedger

SOON = NOW + timedelta(minutes=10)
OTHER = "express-api-20260301T030001Z-11111111"


Ledger = DynamoLedger | FakeLedger


@pytest.fixture(params=["fake", "real"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fake":
        return FakeLedger()
    client, table = request.getfixturevalue("cloud").client("dynamodb"), f"ledger-{uuid.uuid4()}"
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoLedger(client, table)


def test_a_document_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    made = ledger.create(rollback())
    assert ledger.read(SERVICE, made.id) == made


def test_creating_again_after_a_crash_finds_the_same_document(ledger: Ledger) -> None:
    event = TriggerEvent(id="e1", at=NOW)
    first = ledger.save(ledger.create(rollback(event=event)).but(admitted_at=NOW))
    assert ledger.create(rollback(event=event)) == first


def test_an_event_that_is_delivered_twice_makes_one_rollback(ledger: Ledger) -> None:
    event = TriggerEvent(id="e1", at=NOW)
    ledger.create(rollback(event=event))
    with pytest.raises(Conflict, match="e1"):
        ledger.create(rollback(id=OTHER, event=event))
    assert [r.id for r in ledger.history(SERVICE)] == [rollback().id]


def test_a_save_over_a_newer_version_is_refused(ledger: Ledger) -> None:
    read = ledger.create(rollback())
    ledger.save(read.but(reason="first"))
    with pytest.raises(Conflict):
        ledger.save(read.but(reason="second"))
    assert ledger.read(SERVICE, read.id).reason == "first"


def test_of_sixteen_that_ask_at_once_one_gets_the_lease(ledger: Ledger) -> None:
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda n: ledger.acquire(SERVICE, f"r{n}", NOW, SOON), range(16)))
    assert sum(lease is not None for lease in got) == 1


def test_taking_a_lease_that_is_ours_keeps_its_counter(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    assert ledger.acquire(SERVICE, "r1", NOW, SOON) == first


def test_an_expired_lease_is_taken_over_with_a_higher_counter(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert ledger.acquire(SERVICE, "r2", NOW, SOON) is None
    second = ledger.acquire(SERVICE, "r2", SOON, SOON + timedelta(minutes=10))
    assert first is not None
    assert second is not None
    assert second.counter == first.counter + 1
    with pytest.raises(LeaseLost):
        ledger.renew(first, SOON, SOON + timedelta(minutes=10))


def test_the_counter_outlives_the_return_of_the_lease(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    ledger.release_lease(SERVICE, "r1")
    assert ledger.lease(SERVICE) is None
    second = ledger.acquire(SERVICE, "r2", NOW, SOON)
    assert first is not None
    assert second is not None
    assert second.counter == first.counter + 1


def test_another_s_lease_can_not_be_returned(ledger: Ledger) -> None:
    ledger.acquire(SERVICE, "r1", NOW, SOON)
    ledger.release_lease(SERVICE, "r2")
    held = ledger.lease(SERVICE)
    assert held is not None
    assert held.holder == "r1"


def test_a_living_lease_is_taken_over_as_it_was_read_with_a_higher_counter(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON + timedelta(minutes=10))
    assert second is not None
    assert (second.holder, second.counter, second.expires_at) == ("r2", first.counter + 1, SOON + timedelta(minutes=10))
    assert ledger.lease(SERVICE) == second
    with pytest.raises(LeaseLost):
        ledger.renew(first, NOW, SOON)


def test_taking_over_again_after_a_lost_answer_finds_what_the_first_call_took(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON)
    assert ledger.take_over(first, "r2", SOON) == second


def test_a_lease_that_was_renewed_meanwhile_is_still_the_one_that_was_read(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    ledger.renew(first, NOW, SOON + timedelta(minutes=1))
    assert ledger.take_over(first, "r2", SOON) is not None


def test_a_lease_that_changed_hands_or_was_given_back_since_it_was_read_is_not_taken_over(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON)
    assert second is not None
    assert ledger.take_over(first, "r3", SOON) is None
    assert ledger.lease(SERVICE) == second
    ledger.release_lease(SERVICE, "r2")
    assert ledger.take_over(second, "r3", SOON) is None
    assert ledger.lease(SERVICE) is None


def test_of_sixteen_that_take_over_at_once_one_does(ledger: Ledger) -> None:
    held = ledger.acquire(SERVICE, "r", NOW, SOON)
    assert held is not None
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda n: ledger.take_over(held, f"r{n}", SOON), range(16)))
    (winner,) = (lease for lease in got if lease is not None)
    assert ledger.lease(SERVICE) == winner


def test_what_a_former_holder_writes_under_its_counter_is_refused(ledger: Ledger) -> None:
    made = ledger.create(rollback())
    lease = ledger.acquire(SERVICE, made.id, NOW, SOON)
    assert lease is not None
    assert ledger.take_over(lease, OTHER, SOON) is not None
    with pytest.raises(LeaseLost):
        ledger.save(made.but(lease_counter=lease.counter), under_lease_until=NOW)


def test_an_intent_is_written_only_by_the_holder_of_a_lease_that_lasts(ledger: Ledger) -> None:
    made = ledger.create(rollback())
    lease = ledger.acquire(SERVICE, made.id, NOW, SOON)
    assert lease is not None
    holder = ledger.save(made.but(lease_counter=lease.counter), under_lease_until=SOON - timedelta(seconds=1))
    with pytest.raises(LeaseLost):
        ledger.save(holder, under_lease_until=SOON)
    ledger.acquire(SERVICE, OTHER, SOON, SOON + timedelta(minutes=10))
    with pytest.raises(LeaseLost):
        ledger.save(holder, under_lease_until=NOW)
    assert ledger.read(SERVICE, made.id) == holder


def test_a_release_is_recorded_once_with_its_definition(ledger: Ledger) -> None:
    stored = normalised_definition(definition("v1"), {})
    first = release("v1", hours_ago=5)
    ledger.record(first, stored)
    ledger.record(release("v1", hours_ago=1), stored)
    assert ledger.releases(SERVICE) == (first,)
    assert ledger.definition(first.definition_sha256) == stored


def test_a_definition_that_is_not_the_release_s_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="v1"):
        ledger.record(release("v1"), normalised_definition(definition("v2"), {}))


def test_releases_come_newest_first(ledger: Ledger) -> None:
    for version, hours in (("v1", 30), ("v3", 1), ("v2", 20)):
        ledger.record(release(version, hours_ago=hours), normalised_definition(definition(version), {}))
    assert [r.version for r in ledger.releases(SERVICE)] == ["v3", "v2", "v1"]


def test_a_judgement_on_a_state_that_was_changed_meanwhile_is_refused(ledger: Ledger) -> None:
    read = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(read, normalised_definition(definition("v1"), {}))
    ledger.judge(read, ReleaseState.QUARANTINED, NOW, "a rollback left it")
    with pytest.raises(Conflict):
        ledger.judge(read, ReleaseState.PROMOTED, NOW, "baked")
    assert [r.state for r in ledger.releases(SERVICE)] == [ReleaseState.QUARANTINED]


def test_a_pause_stands_as_it_was_begun_until_it_is_ended(ledger: Ledger) -> None:
    first = Pause(service=SERVICE, since=NOW, by="ann", reason="the database is being moved")
    assert ledger.pause(SERVICE) is None
    ledger.put_pause(first)
    ledger.put_pause(first.model_copy(update={"by": "bob", "since": SOON}))
    assert ledger.pause(SERVICE) == first
    assert ledger.pause("another") is None
    ledger.end_pause("another")
    assert ledger.pause(SERVICE) == first
    ledger.end_pause(SERVICE)
    ledger.end_pause(SERVICE)
    assert ledger.pause(SERVICE) is None


def test_a_pause_after_a_pause_is_another_one(ledger: Ledger) -> None:
    for by in ("ann", "bob"):
        ledger.put_pause(Pause(service=SERVICE, since=NOW, by=by, reason="r"))
        standing = ledger.pause(SERVICE)
        assert standing is not None
        assert standing.by == by
        ledger.end_pause(SERVICE)


def test_actions_come_newest_first_each_service_s_own(ledger: Ledger) -> None:
    for minutes, verb, service in ((0, "pause", SERVICE), (2, "resume", SERVICE), (1, "abort", SERVICE), (3, "x", "y")):
        at = NOW + timedelta(minutes=minutes)
        ledger.record_action(OperatorAction(service=service, at=at, verb=verb, by="ann", reason="r", subject="s"))
    assert [action.verb for action in ledger.actions(SERVICE)] == ["resume", "abort", "pause"]
    (last, *_) = ledger.actions(SERVICE)
    assert last == OperatorAction(
        service=SERVICE, at=NOW + timedelta(minutes=2), verb="resume", by="ann", reason="r", subject="s"
    )


def test_two_levers_of_one_moment_are_both_kept(ledger: Ledger) -> None:
    for verb in ("pause", "unlock"):
        ledger.record_action(OperatorAction(service=SERVICE, at=NOW, verb=verb, by="ann", reason="r"))
    assert {action.verb for action in ledger.actions(SERVICE)} == {"pause", "unlock"}
