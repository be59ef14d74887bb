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
    made = ledger.create(rollback())
    assert ledger.read(SERVICE, made.id) == made


def test_creating_again_after_a_crash_finds_the_same_document(ledger: Ledger) -> None:
    event = TriggerEvent(id="e1", at=NOW)
    first = ledger.save(ledger.create(rollback(event=event)).evolve(admitted_at=NOW))
    assert ledger.create(rollback(event=event)) == first


def test_an_event_that_is_delivered_twice_makes_one_rollback(ledger: Ledger) -> None:
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
        ledger.save(made.evolve(lease_counter=lease.counter), under_lease_until=NOW)


def test_an_intent_is_written_only_by_the_holder_of_a_lease_that_lasts(ledger: Ledger) -> None:
    made = ledger.create(rollback())
    lease = ledger.acquire(SERVICE, made.id, NOW, SOON)
    assert lease is not None
    holder = ledger.save(made.evolve(lease_counter=lease.counter), under_lease_until=SOON - timedelta(seconds=1))
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
    assert tuple(ledger.releases(SERVICE)) == (first,)
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
    ledger.set_release_state(read, ReleaseState.QUARANTINED, NOW, "a rollback left it")
    with pytest.raises(Conflict):
        ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
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


def test_of_the_deployments_that_rollbacks_asked_for_the_last_one_is_kept_each_service_s_own(ledger: Ledger) -> None:
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


def test_a_schema_is_read_back_by_its_digest_however_often_it_was_put(ledger: Ledger) -> None:
    other = SCHEMA.model_copy(update={"journal": None})
    for schema in (SCHEMA, SCHEMA, other):
        ledger.put_schema(schema)
    assert ledger.schema(SCHEMA.sha256) == SCHEMA
    assert ledger.schema(other.sha256) == other
    with pytest.raises(KeyError):
        ledger.schema("0" * 64)


def recorded(ledger: Ledger) -> Release:
    read = release("v1", state=ReleaseState.CANDIDATE)
    ledger.record(read, normalised_definition(definition("v1"), {}))
    return read


def test_a_release_is_known_with_its_schema_from_then_on(ledger: Ledger) -> None:
    known = ledger.set_release_schema(recorded(ledger), SCHEMA.sha256)
    assert known.schema_sha256 == SCHEMA.sha256
    assert tuple(ledger.releases(SERVICE)) == (known,)


def test_of_two_who_tell_a_release_s_schema_or_judge_it_the_second_reads_it_again(ledger: Ledger) -> None:
    read = recorded(ledger)
    ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
    with pytest.raises(Conflict):
        ledger.set_release_schema(read, SCHEMA.sha256)
    (promoted,) = ledger.releases(SERVICE)
    ledger.set_release_schema(promoted, SCHEMA.sha256)
    with pytest.raises(Conflict):
        ledger.set_release_schema(promoted, "0" * 64)


def test_a_judgement_keeps_the_schema_that_was_told_since_the_release_was_read(ledger: Ledger) -> None:
    read = recorded(ledger)
    ledger.set_release_schema(read, SCHEMA.sha256)
    judged = ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, "baked")
    assert (judged.state, judged.schema_sha256) == (ReleaseState.PROMOTED, SCHEMA.sha256)
    assert tuple(ledger.releases(SERVICE)) == (judged,)


def test_of_sixteen_judgements_at_once_one_is_made(ledger: Ledger) -> None:
    read = recorded(ledger)

    def set_release_state(number: int) -> bool:
        try:
            ledger.set_release_state(read, ReleaseState.PROMOTED, NOW, f"by {number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(set_release_state, range(16))) == 1


def test_restore_points_come_newest_first_each_branch_s_own_and_whole(ledger: Ledger) -> None:
    told = point(1, by="checkpoint", shipped=(SHIPPED,))
    for one in (point(0), point(2), told, point(3, branch="BRANCH#shop#br-other")):
        ledger.put_restore_point(one)
    assert tuple(ledger.restore_points(BRANCH)) == (point(2), told, point(0))
    assert tuple(ledger.restore_points("BRANCH#shop#br-none")) == ()


def test_of_one_moment_service_and_version_the_first_point_stays(ledger: Ledger) -> None:
    later = point(0, at=NOW + timedelta(minutes=1), lsn=Lsn.parse("1/16B9999"))
    for one in (point(0), later, point(0, version="v3"), point(0, service="worker")):
        ledger.put_restore_point(one)
    kept = tuple(ledger.restore_points(BRANCH))
    assert len(kept) == 3
    assert all(one in kept for one in (point(0), point(0, version="v3"), point(0, service="worker")))


def test_more_migrations_than_any_repository_has_are_kept_with_a_point(ledger: Ledger) -> None:
    many = tuple(SHIPPED.model_copy(update={"created_at": n, "hash": sha256_of({"n": n})}) for n in range(3000))
    ledger.put_restore_point(point(by="checkpoint", shipped=many))
    (kept,) = ledger.restore_points(BRANCH)
    assert kept.shipped == many


def seen(minutes: float, sha256: str = SCHEMA.sha256) -> Observation:
    check = Check.passed("database-is-accessible", "open", evidence={"service": SERVICE})
    at = NOW + timedelta(minutes=minutes)
    return Observation(branch=BRANCH, schema_sha256=sha256, readiness=(check,), observed_at=at)


def test_the_newest_look_stands_whoever_comes_last(ledger: Ledger) -> None:
    assert ledger.observation(BRANCH) is None
    ledger.put_observation(seen(5))
    ledger.put_observation(seen(1, "0" * 64))
    assert ledger.observation(BRANCH) == seen(5)
    ledger.put_observation(seen(6))
    assert ledger.observation(BRANCH) == seen(6)
    assert ledger.observation("BRANCH#shop#br-other") is None


def standing(minutes: float = 0, *versions: str) -> StandingPlan:
    targets = tuple(StandingTarget(release=release(version), definition_arn="arn:x") for version in versions)
    return StandingPlan(service=SERVICE, targets=targets, computed_at=NOW + timedelta(minutes=minutes))


def test_a_standing_plan_is_amended_as_it_was_read(ledger: Ledger) -> None:
    ledger.put_standing_plan(standing(1, "v1"))
    amended = standing(1, "v1").model_copy(update={"database_seen_at": NOW})
    ledger.replace_standing_plan(standing(1, "v1"), amended)
    assert ledger.standing_plan(SERVICE) == amended
    ledger.put_standing_plan(standing(0, "v0"))
    assert ledger.standing_plan(SERVICE) == amended  # it is as old as it was


def test_a_standing_plan_that_was_put_anew_since_it_was_read_is_not_amended(ledger: Ledger) -> None:
    with pytest.raises(Conflict):
        ledger.replace_standing_plan(standing(0, "v1"), standing(0, "v1"))
    ledger.put_standing_plan(standing(0, "v1"))
    ledger.put_standing_plan(standing(0))  # v1 was judged bad at the same moment
    with pytest.raises(Conflict):
        ledger.replace_standing_plan(standing(0, "v1"), standing(0, "v1"))
    assert ledger.standing_plan(SERVICE) == standing(0)


def test_a_branch_has_a_lease_of_its_own(ledger: Ledger) -> None:
    held = ledger.acquire(BRANCH, "r1", NOW, SOON)
    assert held is not None
    assert ledger.acquire(BRANCH, "r2", NOW, SOON) is None
    assert ledger.acquire(SERVICE, "r2", NOW, SOON) is not None
    assert ledger.renew(held, NOW, SOON + timedelta(minutes=1)).service == BRANCH
    ledger.release_lease(BRANCH, "r1")
    assert ledger.lease(BRANCH) is None
