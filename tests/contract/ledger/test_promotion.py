"""A promotion depends on the service's lease: in the embedded cloud, and in the fake alike."""

from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from support.builders import NOW, SERVICE, definition, release
from support.ledger_tables import new_table

from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.errors import Conflict, LeaseTaken

SOON = NOW + timedelta(minutes=10)
ROLLBACK_ID, OTHER_ID = f"{SERVICE}-20260301T030000Z-00000000", f"{SERVICE}-20260301T030001Z-11111111"
Ledger = DynamoLedger | FakeLedger


@pytest.fixture(params=["fake", "real"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fake":
        return FakeLedger()
    return DynamoLedger(*new_table(request.getfixturevalue("cloud").client("dynamodb")))


def candidate(ledger: Ledger) -> Release:
    stored = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(stored, normalised_definition(definition("v1"), {}))
    return stored


def test_the_counter_of_a_lease_counts_each_holder_and_stays_when_the_lease_is_given_back(ledger: Ledger) -> None:
    assert ledger.lease_counter(SERVICE) == 0
    lease = ledger.acquire(SERVICE, ROLLBACK_ID, NOW, SOON)
    assert lease is not None
    assert ledger.lease_counter(SERVICE) == lease.counter == 1
    ledger.release_lease(SERVICE, ROLLBACK_ID)
    assert (ledger.lease(SERVICE), ledger.lease_counter(SERVICE)) == (None, 1)
    ledger.acquire(SERVICE, OTHER_ID, NOW, SOON)
    assert ledger.lease_counter(SERVICE) == 2


@pytest.mark.parametrize("earlier_leases", [0, 1, 2])
def test_a_release_is_promoted_while_no_rollback_takes_the_lease(ledger: Ledger, earlier_leases: int) -> None:
    stored = candidate(ledger)
    for _ in range(earlier_leases):
        ledger.acquire(SERVICE, ROLLBACK_ID, NOW, SOON)
        ledger.release_lease(SERVICE, ROLLBACK_ID)
    promoted = ledger.promote_release(stored, NOW, "baked", ledger.lease_counter(SERVICE))
    assert (promoted.state, promoted.state_reason) == (ReleaseState.PROMOTED, "baked")
    assert tuple(ledger.promoted(SERVICE)) == tuple(ledger.releases(SERVICE)) == (promoted,)


@pytest.mark.parametrize("earlier_leases", [0, 1])
@pytest.mark.parametrize("is_given_back", [False, True])
def test_a_release_is_not_promoted_after_a_rollback_took_the_lease(
    ledger: Ledger, earlier_leases: int, is_given_back: bool
) -> None:
    stored = candidate(ledger)
    for _ in range(earlier_leases):
        ledger.acquire(SERVICE, ROLLBACK_ID, NOW, SOON)
        ledger.release_lease(SERVICE, ROLLBACK_ID)
    counter = ledger.lease_counter(SERVICE)
    ledger.acquire(SERVICE, OTHER_ID, NOW, SOON)
    if is_given_back:
        ledger.release_lease(SERVICE, OTHER_ID)
    with pytest.raises(LeaseTaken):
        ledger.promote_release(stored, NOW, "baked", counter)
    assert tuple(ledger.releases(SERVICE)) == (stored,)
    assert tuple(ledger.promoted(SERVICE)) == ()


def test_a_renewed_lease_keeps_its_counter(ledger: Ledger) -> None:
    lease = ledger.acquire(SERVICE, ROLLBACK_ID, NOW, SOON)
    assert lease is not None
    ledger.renew(lease, NOW, SOON + timedelta(minutes=5))
    assert ledger.lease_counter(SERVICE) == 1


def test_the_promotion_of_a_release_in_another_state_is_a_conflict_about_the_release(ledger: Ledger) -> None:
    stored = candidate(ledger)
    ledger.set_release_state(stored, ReleaseState.QUARANTINED, NOW, "left by a rollback")
    with pytest.raises(Conflict) as conflict:
        ledger.promote_release(stored, NOW, "baked", 0)
    assert not isinstance(conflict.value, LeaseTaken)
    assert [r.state for r in ledger.releases(SERVICE)] == [ReleaseState.QUARANTINED]
