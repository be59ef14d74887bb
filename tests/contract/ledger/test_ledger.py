"""The ledger's promises: conditional and transactional writes in the embedded cloud, and the fake alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from support.builders import NOW, SERVICE, definition, release, rollback
from support.ledger_tables import new_table

from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.canonical_json import sha256_of
from rollback.check import Check
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.migration_impact import breaking
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.domain.rollback import TriggerEvent
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.errors import Conflict, LeaseLost
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.wal_position import Lsn

SOON = NOW + timedelta(minutes=10)
OTHER = "express-api-20260301T030001Z-11111111"


Ledger = DynamoLedger | FakeLedger


@pytest.fixture(params=["fake", "real"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fake":
        return FakeLedger()
    return DynamoLedger(*new_table(request.getfixturevalue("cloud").client("dynamodb")))


def test_a_document_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    document = ledger.create(rollback())
    assert ledger.read(SERVICE, document.id) == document


def test_a_repeated_create_returns_the_first_document(ledger: Ledger) -> None:
    event = TriggerEvent(id="e1", at=NOW)
    first = ledger.save(ledger.create(rollback(event=event)).evolve(admitted_at=NOW))
    assert ledger.create(rollback(event=event)) == first


def test_an_event_delivered_twice_creates_one_rollback(ledger: Ledger) -> None:
    event = TriggerEvent(id="e1", at=NOW)
    ledger.create(rollback(event=event))
    with pytest.raises(Conflict, match="e1"):
        ledger.create(rollback(id=OTHER, event=event))
    assert [r.id for r in ledger.history(SERVICE)] == [rollback().id]


def test_a_save_over_a_newer_version_is_refused(ledger: Ledger) -> None:
    read = ledger.create(rollback())
    ledger.save(read.evolve(reason="first"))
    with pytest.raises(Conflict):
        ledger.save(read.evolve(reason="second"))
    assert ledger.read(SERVICE, read.id).reason == "first"


def test_one_of_sixteen_simultaneous_callers_acquires_the_lease(ledger: Ledger) -> None:
    with ThreadPoolExecutor(16) as pool:
        leases = list(pool.map(lambda n: ledger.acquire(SERVICE, f"r{n}", NOW, SOON), range(16)))
    assert sum(lease is not None for lease in leases) == 1


def test_acquiring_an_own_lease_again_keeps_its_counter(ledger: Ledger) -> None:
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


def test_a_lease_of_another_holder_can_not_be_returned(ledger: Ledger) -> None:
    ledger.acquire(SERVICE, "r1", NOW, SOON)
    ledger.release_lease(SERVICE, "r2")
    lease = ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == "r1"


def test_a_takeover_of_a_valid_lease_raises_its_counter(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON + timedelta(minutes=10))
    assert second is not None
    assert (second.holder, second.counter, second.expires_at) == ("r2", first.counter + 1, SOON + timedelta(minutes=10))
    assert ledger.lease(SERVICE) == second
    with pytest.raises(LeaseLost):
        ledger.renew(first, NOW, SOON)


def test_a_takeover_repeated_after_a_lost_answer_returns_the_same_lease(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON)
    assert ledger.take_over(first, "r2", SOON) == second


def test_a_lease_renewed_since_it_was_read_can_be_taken_over(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    ledger.renew(first, NOW, SOON + timedelta(minutes=1))
    assert ledger.take_over(first, "r2", SOON) is not None


def test_a_lease_with_another_holder_or_without_a_holder_is_not_taken_over(ledger: Ledger) -> None:
    first = ledger.acquire(SERVICE, "r1", NOW, SOON)
    assert first is not None
    second = ledger.take_over(first, "r2", SOON)
    assert second is not None
    assert ledger.take_over(first, "r3", SOON) is None
    assert ledger.lease(SERVICE) == second
    ledger.release_lease(SERVICE, "r2")
    assert ledger.take_over(second, "r3", SOON) is None
    assert ledger.lease(SERVICE) is None


def test_one_of_sixteen_simultaneous_takeovers_succeeds(ledger: Ledger) -> None:
    original = ledger.acquire(SERVICE, "r", NOW, SOON)
    assert original is not None
    with ThreadPoolExecutor(16) as pool:
        leases = list(pool.map(lambda n: ledger.take_over(original, f"r{n}", SOON), range(16)))
    (winner,) = (lease for lease in leases if lease is not None)
    assert ledger.lease(SERVICE) == winner


def test_a_save_by_a_former_holder_is_refused(ledger: Ledger) -> None:
    document = ledger.create(rollback())
    lease = ledger.acquire(SERVICE, document.id, NOW, SOON)
    assert lease is not None
    assert ledger.take_over(lease, OTHER, SOON) is not None
    with pytest.raises(LeaseLost):
        ledger.save(document.evolve(lease_counter=lease.counter), under_lease_until=NOW)


def test_an_intent_is_written_only_under_a_lease_that_is_valid_long_enough(ledger: Ledger) -> None:
    document = ledger.create(rollback())
    lease = ledger.acquire(SERVICE, document.id, NOW, SOON)
    assert lease is not None
    holder = ledger.save(document.evolve(lease_counter=lease.counter), under_lease_until=SOON - timedelta(seconds=1))
    with pytest.raises(LeaseLost):
        ledger.save(holder, under_lease_until=SOON)
    ledger.acquire(SERVICE, OTHER, SOON, SOON + timedelta(minutes=10))
    with pytest.raises(LeaseLost):
        ledger.save(holder, under_lease_until=NOW)
    assert ledger.read(SERVICE, document.id) == holder


def test_a_release_is_recorded_once_with_its_definition(ledger: Ledger) -> None:
    stored = normalised_definition(definition("v1"), {})
    first = release("v1", hours_ago=5)
    ledger.record(first, stored)
    ledger.record(release("v1", hours_ago=1), stored)
    assert tuple(ledger.releases(SERVICE)) == (first,)
    assert ledger.definition(first.definition_sha256) == stored


def test_a_definition_of_another_release_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="v1"):
        ledger.record(release("v1"), normalised_definition(definition("v2"), {}))


def test_releases_come_newest_first(ledger: Ledger) -> None:
    for version, hours in (("v1", 30), ("v3", 1), ("v2", 20)):
        ledger.record(release(version, hours_ago=hours), normalised_definition(definition(version), {}))
    assert [r.version for r in ledger.releases(SERVICE)] == ["v3", "v2", "v1"]


def test_a_change_of_an_outdated_release_state_is_refused(ledger: Ledger) -> None:
    read = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(read, normalised_definition(definition("v1"), {}))
    ledger.set_release_state(read, ReleaseState.QUARANTINED, NOW, "a rollback left it")
    with pytest.raises(Conflict):
        ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
    assert [r.state for r in ledger.releases(SERVICE)] == [ReleaseState.QUARANTINED]


def test_a_baseline_is_stored_with_the_release_and_kept_by_a_new_state(ledger: Ledger) -> None:
    read = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(read, normalised_definition(definition("v1"), {}))
    baseline = LogBaseline(since=NOW - timedelta(minutes=15), until=NOW, errors=2, requests=500)
    with_baseline = ledger.set_log_baseline(read, baseline)
    assert with_baseline.log_baseline == baseline
    promoted = ledger.set_release_state(with_baseline, ReleaseState.PROMOTED, NOW, "baked")
    assert tuple(ledger.releases(SERVICE)) == (promoted,)
    assert promoted.log_baseline == baseline
    with pytest.raises(Conflict):
        ledger.set_log_baseline(read, baseline)


def test_a_pause_keeps_its_first_operator_and_reason_until_it_is_resumed(ledger: Ledger) -> None:
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


def test_the_last_deployment_of_a_rollback_is_kept_for_each_service(ledger: Ledger) -> None:
    first = CausedDeployment(
        service=SERVICE, rollback_id=OTHER, asked_at=NOW, definition_arn="arn:1", replaced_deployment_id="ecs-svc/1"
    )
    assert ledger.caused_deployment(SERVICE) is None
    ledger.put_caused_deployment(first)
    with_id = first.model_copy(update={"deployment_id": "ecs-svc/2"})
    ledger.put_caused_deployment(with_id)
    assert ledger.caused_deployment(SERVICE) == with_id
    later = first.model_copy(update={"asked_at": SOON})
    ledger.put_caused_deployment(later)
    ledger.put_caused_deployment(with_id)
    assert ledger.caused_deployment(SERVICE) == later
    assert ledger.caused_deployment("another") is None


def test_a_pause_after_a_resume_is_a_new_pause(ledger: Ledger) -> None:
    for by in ("ann", "bob"):
        ledger.put_pause(Pause(service=SERVICE, since=NOW, by=by, reason="r"))
        pause = ledger.pause(SERVICE)
        assert pause is not None
        assert pause.by == by
        ledger.end_pause(SERVICE)


def test_the_actions_of_a_service_are_listed_newest_first(ledger: Ledger) -> None:
    for minutes, verb, service in ((0, "pause", SERVICE), (2, "resume", SERVICE), (1, "abort", SERVICE), (3, "x", "y")):
        at = NOW + timedelta(minutes=minutes)
        ledger.record_action(OperatorAction(service=service, at=at, verb=verb, by="ann", reason="r", subject="s"))
    assert [action.verb for action in ledger.actions(SERVICE)] == ["resume", "abort", "pause"]
    (last, *_) = ledger.actions(SERVICE)
    assert last == OperatorAction(
        service=SERVICE, at=NOW + timedelta(minutes=2), verb="resume", by="ann", reason="r", subject="s"
    )


def test_two_operator_actions_at_the_same_time_are_both_kept(ledger: Ledger) -> None:
    for verb in ("pause", "unlock"):
        ledger.record_action(OperatorAction(service=SERVICE, at=NOW, verb=verb, by="ann", reason="r"))
    assert {action.verb for action in ledger.actions(SERVICE)} == {"pause", "unlock"}


def test_an_operator_action_that_is_recorded_again_is_one_action(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.record_action(OperatorAction(service=SERVICE, at=NOW, verb="approve", by="ann", reason="r"))
    assert len(list(ledger.actions(SERVICE))) == 1


# Database branches

BRANCH = "BRANCH#shop#br-main-1"
SHIPPED = ShippedMigration(tag="0001_it", created_at=1, hash="a" * 64, impact=breaking("drop table old"), has_down=True)
SCHEMA = ReleaseSchema(
    shipped=(SHIPPED,),
    journal=(Migration(hash="a" * 64, created_at=1),),
    recorded_schema=LiveSchema(tables={"public.users": {"id": Column(type="text", nullable=False, has_default=False)}}),
)


def point(minutes: float = 0, version: str = "v2", **changes: object) -> RecordedPoint:
    at = NOW + timedelta(minutes=minutes)
    fields = {"branch": BRANCH, "service": SERVICE, "version": version, "at": at, "lsn": Lsn.parse("1/16B3748")}
    return RecordedPoint.model_validate({**fields, "recorded_at": at, "by": "deployment", **changes})


def test_a_schema_that_was_written_twice_is_read_by_its_digest(ledger: Ledger) -> None:
    other = SCHEMA.model_copy(update={"journal": None})
    for schema in (SCHEMA, SCHEMA, other):
        ledger.put_schema(schema)
    assert ledger.schema(SCHEMA.sha256) == SCHEMA
    assert ledger.schema(other.sha256) == other
    with pytest.raises(KeyError):
        ledger.schema("0" * 64)


def record_candidate(ledger: Ledger) -> Release:
    read = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(read, normalised_definition(definition("v1"), {}))
    return read


def test_a_release_has_its_schema_once_the_schema_is_recorded(ledger: Ledger) -> None:
    release_with_schema = ledger.set_release_schema(record_candidate(ledger), SCHEMA.sha256)
    assert release_with_schema.schema_sha256 == SCHEMA.sha256
    assert tuple(ledger.releases(SERVICE)) == (release_with_schema,)


def test_the_second_of_two_simultaneous_changes_of_a_release_is_a_conflict(ledger: Ledger) -> None:
    read = record_candidate(ledger)
    ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
    with pytest.raises(Conflict):
        ledger.set_release_schema(read, SCHEMA.sha256)
    (promoted,) = ledger.releases(SERVICE)
    ledger.set_release_schema(promoted, SCHEMA.sha256)
    with pytest.raises(Conflict):
        ledger.set_release_schema(promoted, "0" * 64)


def test_a_new_release_state_keeps_a_schema_that_was_recorded_since_the_read(ledger: Ledger) -> None:
    read = record_candidate(ledger)
    ledger.set_release_schema(read, SCHEMA.sha256)
    judged = ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
    assert (judged.state, judged.schema_sha256) == (ReleaseState.PROMOTED, SCHEMA.sha256)
    assert tuple(ledger.releases(SERVICE)) == (judged,)


def test_one_of_sixteen_simultaneous_changes_of_a_release_state_succeeds(ledger: Ledger) -> None:
    read = record_candidate(ledger)

    def set_release_state(number: int) -> bool:
        try:
            ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, f"by {number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(set_release_state, range(16))) == 1


def test_the_restore_points_of_a_branch_are_listed_newest_first_and_complete(ledger: Ledger) -> None:
    checkpoint = point(1, by="checkpoint", shipped=(SHIPPED,))
    for recorded_point in (point(0), point(2), checkpoint, point(3, branch="BRANCH#shop#br-other")):
        ledger.put_restore_point(recorded_point)
    assert tuple(ledger.restore_points(BRANCH)) == (point(2), checkpoint, point(0))
    assert tuple(ledger.restore_points("BRANCH#shop#br-none")) == ()


def test_the_first_restore_point_of_a_service_version_and_time_is_kept(ledger: Ledger) -> None:
    later = point(0, at=NOW + timedelta(minutes=1), lsn=Lsn.parse("1/16B9999"))
    for recorded_point in (point(0), later, point(0, version="v3"), point(0, service="worker")):
        ledger.put_restore_point(recorded_point)
    points = tuple(ledger.restore_points(BRANCH))
    assert len(points) == 3
    assert all(
        recorded_point in points for recorded_point in (point(0), point(0, version="v3"), point(0, service="worker"))
    )


def test_a_restore_point_can_have_thousands_of_migrations(ledger: Ledger) -> None:
    many = tuple(SHIPPED.model_copy(update={"created_at": n, "hash": sha256_of({"n": n})}) for n in range(3000))
    ledger.put_restore_point(point(by="checkpoint", shipped=many))
    (restored_point,) = ledger.restore_points(BRANCH)
    assert restored_point.shipped == many


def observation_at(minutes: float, sha256: str = SCHEMA.sha256) -> Observation:
    check = Check.passed("database-is-accessible", "open", evidence={"service": SERVICE})
    at = NOW + timedelta(minutes=minutes)
    return Observation(branch=BRANCH, schema_sha256=sha256, readiness=(check,), observed_at=at)


def test_the_newest_observation_is_kept_in_any_write_order(ledger: Ledger) -> None:
    assert ledger.observation(BRANCH) is None
    ledger.put_observation(observation_at(5))
    ledger.put_observation(observation_at(1, "0" * 64))
    assert ledger.observation(BRANCH) == observation_at(5)
    ledger.put_observation(observation_at(6))
    assert ledger.observation(BRANCH) == observation_at(6)
    assert ledger.observation("BRANCH#shop#br-other") is None


def standing_plan_at(minutes: float = 0, *versions: str) -> StandingPlan:
    targets = tuple(StandingTarget(release=release(version), definition_arn="arn:x") for version in versions)
    return StandingPlan(service=SERVICE, targets=targets, computed_at=NOW + timedelta(minutes=minutes))


def test_a_standing_plan_that_is_unchanged_since_the_read_is_amended(ledger: Ledger) -> None:
    ledger.put_standing_plan(standing_plan_at(1, "v1"))
    amended = standing_plan_at(1, "v1").model_copy(update={"database_seen_at": NOW})
    ledger.replace_standing_plan(standing_plan_at(1, "v1"), amended)
    assert ledger.standing_plan(SERVICE) == amended
    ledger.put_standing_plan(standing_plan_at(0, "v0"))
    assert ledger.standing_plan(SERVICE) == amended  # the amendment keeps the time of the plan


def test_a_standing_plan_that_was_replaced_since_the_read_is_not_amended(ledger: Ledger) -> None:
    with pytest.raises(Conflict):
        ledger.replace_standing_plan(standing_plan_at(0, "v1"), standing_plan_at(0, "v1"))
    ledger.put_standing_plan(standing_plan_at(0, "v1"))
    ledger.put_standing_plan(standing_plan_at(0))  # v1 was judged bad at the same moment
    with pytest.raises(Conflict):
        ledger.replace_standing_plan(standing_plan_at(0, "v1"), standing_plan_at(0, "v1"))
    assert ledger.standing_plan(SERVICE) == standing_plan_at(0)


def test_a_lease_of_a_branch_is_independent_of_the_lease_of_a_service(ledger: Ledger) -> None:
    lease = ledger.acquire(BRANCH, "r1", NOW, SOON)
    assert lease is not None
    assert ledger.acquire(BRANCH, "r2", NOW, SOON) is None
    assert ledger.acquire(SERVICE, "r2", NOW, SOON) is not None
    assert ledger.renew(lease, NOW, SOON + timedelta(minutes=1)).service == BRANCH
    ledger.release_lease(BRANCH, "r1")
    assert ledger.lease(BRANCH) is None
