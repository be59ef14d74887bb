"""The items of the index agree with the documents, also in a ledger that is older than the index."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from simulations.fake_ports import DEGRADED
from simulations.service import alarm_event
from simulations.two_writers import WORKER, TwoWriterSimulation
from support.builders import NOW, SERVICE, definition, release, rollback
from support.ledger_tables import new_table

from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry, PendingEntry, TriggerResultEntry, build_entries
from rollback.domain.operator import Operator
from rollback.domain.releases.release import ReleaseState, normalised_definition
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome
from rollback.operations.pause_abort_unlock import abort
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import cursor_of, run_step, start_emergency

LATER = NOW + timedelta(hours=1)
WORKER_DEGRADED = f"macro-ai-production-{WORKER}-degraded"


@pytest.fixture
def table(cloud: Any) -> tuple[Any, str]:
    return new_table(cloud.client("dynamodb"))


def on_table(simulation: TwoWriterSimulation, table: tuple[Any, str]) -> DynamoLedger:
    """Copy the ledger of the simulation to a real table, and let the simulation continue on the table."""
    real, fake = DynamoLedger(*table), simulation.ledger
    for stored_release in fake._releases.values():
        real.record(stored_release, fake._definitions[stored_release.definition_sha256])
    for schema in fake._schemas.values():
        real.put_schema(schema)
    for point in fake._points:
        real.put_restore_point(point)
    for observation in fake._observations.values():
        real.put_observation(observation)
    for probe in fake._probes.values():
        real.put_database_probe(probe)
    simulation.ledger = real  # type: ignore[assignment]
    simulation.replace(ledger=real)
    return real


def derive_entries(ledger: DynamoLedger, kind: type[Any], service: str) -> set[str]:
    """Return the entries that follow from the documents."""
    documents = [r for name in (SERVICE, WORKER) for r in ledger.history(name)]
    entries = [entry for r in documents for entry in build_entries(r).values() if isinstance(entry, kind)]
    return {e.model_dump_json() for e in entries if service in (getattr(e, "service", None), e.rollback_id[:-29])}


def assert_index_agrees(ledger: DynamoLedger) -> None:
    long_ago = NOW - timedelta(days=1)
    for service in (SERVICE, WORKER):
        assert {e.model_dump_json() for e in ledger.pending(service).items} == derive_entries(
            ledger, PendingEntry, service
        )
        entries = {e.model_dump_json() for e in ledger.obligations(service).items}
        assert entries == {
            text for text in derive_entries(ledger, ObligationsEntry, service) if json.loads(text)["service"] == service
        }
        assert {e.model_dump_json() for e in ledger.changes(service, long_ago).items} == derive_entries(
            ledger, ChangeEntry, service
        )
    answers = {e.model_dump_json() for e in ledger.trigger_results(SERVICE, DEGRADED, long_ago).items}
    assert answers == derive_entries(ledger, TriggerResultEntry, SERVICE)


def test_the_index_agrees_with_the_documents_after_each_step(table: tuple[Any, str]) -> None:
    simulation = TwoWriterSimulation()
    ledger = on_table(simulation, table)
    assert (
        ledger.build_index((SERVICE, WORKER), NOW) is False
    )  # the ledger has releases: the index is built again later
    assert ledger.build_index((SERVICE, WORKER), LATER) is True
    first = simulation.admit(alarm_event(), "first")
    assert_index_agrees(ledger)
    for _ in range(100):
        if next_step(simulation.read(first)) is Step.DONE:
            break
        simulation.run_due_step(first)
        assert_index_agrees(ledger)
    second = simulation.admit({"type": "full", "service": SERVICE, "target_version": "v1", "force": True}, "second")
    abort(second.id, Operator(name="ann", reason="no"), simulation.ports)
    simulation.run_to_end(second)
    assert_index_agrees(ledger)
    assert ledger.find_by_execution(second.execution) == (SERVICE, second.id)


def test_a_ledger_older_than_the_index_gives_the_same_answers_before_and_after_the_build(
    table: tuple[Any, str],
) -> None:
    client, name = table
    ledger, owing = DynamoLedger(client, name), rollback(execution="gone", admitted_at=NOW)
    for document in (
        owing,
        rollback(id=f"{SERVICE}-20260301T020000Z-00000001", outcome=Outcome.FAILED, concluded_at=NOW),
    ):
        item = {"version": {"N": "0"}, "body": {"S": document.model_dump_json()}}
        key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": f"ROLLBACK#{document.id}"}}
        client.put_item(TableName=name, Item={**key, **item})
    pending = ledger.pending(SERVICE)
    assert len(pending.items) == 2
    assert ledger.pending().items == ()
    assert ledger.build_index((SERVICE,), NOW) is False  # a function of the version before may still run
    assert ledger.pending(SERVICE) == pending
    assert DynamoLedger(client, name).build_index((SERVICE,), NOW + timedelta(minutes=15)) is True
    assert DynamoLedger(client, name).pending(SERVICE) == pending
    assert DynamoLedger(client, name).pending() == pending


def test_the_index_of_a_large_ledger_is_built_over_several_calls(
    table: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoLedger, "ITEMS_A_CALL", 3)
    client, name = table
    ids = [f"{SERVICE}-20260301T0200{number:02}000Z-00000000" for number in range(7)]
    for document in (rollback(id=id_, execution="gone") for id_ in ids):
        key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": f"ROLLBACK#{document.id}"}}
        client.put_item(TableName=name, Item={**key, "version": {"N": "0"}, "body": {"S": document.model_dump_json()}})
    rounds = [DynamoLedger(client, name).build_index((SERVICE,), NOW) for _ in range(5)]
    assert rounds == [False] * 5
    assert len(DynamoLedger(client, name).pending().items) == 7  # all entries are there after the first pass
    rounds = [DynamoLedger(client, name).build_index((SERVICE,), LATER) for _ in range(3)]
    assert rounds == [False, False, True]


def test_a_new_ledger_is_indexed_from_the_first_round_of_the_janitor(table: tuple[Any, str]) -> None:
    assert DynamoLedger(*table).build_index((SERVICE,), NOW) is True


@pytest.mark.parametrize("indexed", [False, True])
def test_a_release_is_found_by_each_of_its_identifiers(table: tuple[Any, str], indexed: bool) -> None:
    ledger = DynamoLedger(*table)
    if indexed:
        ledger.build_index((SERVICE,), NOW)
    odd = release("v1#odd %", commit="4f5e6d7c8b9a", hours_ago=2)
    for indexed_release in (odd, release("v2", hours_ago=1)):
        ledger.record(indexed_release, normalised_definition(definition(indexed_release.version), {}))
    digest = odd.images["api"].rpartition("sha256:")[2]
    for name in ("v1#odd %", odd.fingerprint[:8], "4f5e6d7", f"sha256:{digest[:12]}", digest[:12], digest.upper()[:12]):
        assert ledger.find(SERVICE, name) == (odd,), name
    assert ledger.find(SERVICE, "v1") == ()
    assert ledger.release(SERVICE, odd.fingerprint) == odd
    assert ledger.release(SERVICE, "0" * 64) is None


def test_an_indexed_release_is_read_by_its_key(table: tuple[Any, str]) -> None:
    client, name = table
    ledger = DynamoLedger(client, name)
    ledger.build_index((SERVICE,), NOW)
    stored = release("v1")
    ledger.record(stored, normalised_definition(definition("v1"), {}))
    operations: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda model, **_: operations.append(model.name))
    assert ledger.release(SERVICE, stored.fingerprint) == stored
    assert operations == ["GetItem", "GetItem"]


def test_promoted_releases_follow_the_judgement_newest_first(table: tuple[Any, str]) -> None:
    ledger = DynamoLedger(*table)
    ledger.build_index((SERVICE,), NOW)
    for version, hours in (("v1", 30), ("v3", 1), ("v2", 20)):
        ledger.record(release(version, hours_ago=hours), normalised_definition(definition(version), {}))
    assert [promoted.version for promoted in ledger.promoted(SERVICE)] == ["v3", "v2", "v1"]
    ledger.set_release_state(next(ledger.promoted(SERVICE)), ReleaseState.QUARANTINED, NOW, "a rollback left it")
    assert [promoted.version for promoted in ledger.promoted(SERVICE)] == ["v2", "v1"]


def test_a_record_expires_only_once_it_is_concluded_and_reported(table: tuple[Any, str]) -> None:
    client, name = table
    ledger, document = DynamoLedger(client, name), rollback(execution="x")

    def expires() -> bool:
        key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": f"ROLLBACK#{document.id}"}}
        return "expires" in client.get_item(TableName=name, Key=key)["Item"]

    saved = ledger.create(document)
    assert not expires()
    saved = ledger.save(saved.evolve(outcome=Outcome.SUPPRESSED, concluded_at=NOW))
    assert not expires()  # not reported
    ledger.save(saved.evolve(is_reported=True))
    assert expires()


@pytest.mark.parametrize(("state", "expires"), [(ReleaseState.QUARANTINED, True), (ReleaseState.CANDIDATE, False)])
def test_only_a_release_that_a_rollback_replaced_expires_if_the_settings_say_so(
    table: tuple[Any, str], state: ReleaseState, expires: bool
) -> None:
    client, name = table
    for days in (None, 90):
        ledger, stored = DynamoLedger(client, name, days), release(f"v{days}")
        ledger.record(stored, normalised_definition(definition(stored.version), {}))
        ledger.set_release_state(stored, state, NOW, "so it is")
        items = client.query(
            TableName=name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"SERVICE#{SERVICE}"}, ":sk": {"S": "RELEASE#"}},
        )["Items"]
        (item,) = (candidate for candidate in items if stored.fingerprint in candidate["sk"]["S"])
        assert ("expires" in item) is (expires and days is not None)


# One damaged item


def items_of_two_services(table: tuple[Any, str]) -> TwoWriterSimulation:
    """Both services have a running and an earlier promoted release, a standing plan, and a concluded rollback."""
    simulation = TwoWriterSimulation()
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": None}))
    for arn in (simulation.services, simulation.worker):
        arn.calls.clear()
    ledger = on_table(simulation, table)
    ledger.build_index((SERVICE, WORKER), NOW - timedelta(hours=1))
    ledger.build_index((SERVICE, WORKER), NOW)
    for service in (SERVICE, WORKER):
        prepare_standing_plan(service, simulation.ports)
    dead = {"execution": "gone", "admitted_at": NOW - timedelta(hours=1), "created_at": NOW - timedelta(hours=1)}
    ledger.create(rollback(id=f"{WORKER}-20260301T020000000Z-00000001", request={"service": WORKER}, **dead))
    ledger.create(rollback(id=f"{SERVICE}-20260301T020000000Z-00000002", **dead))
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    simulation.alarms.fire(WORKER_DEGRADED, simulation.clock.now())
    return simulation


def run(simulation: TwoWriterSimulation, service: str, event: dict[str, Any], name: str) -> Outcome | None:
    now = simulation.clock.now()
    if event.get("type") == "emergency":
        cursor = start_emergency(event, name, now, simulation.ports)
    else:
        cursor = cursor_of(admit(event, name, now, simulation.ports))
    for _ in range(300):
        if cursor.next is Step.DONE:
            break
        cursor = run_step(cursor.rollback_id, cursor.next, simulation.ports)
        simulation.clock.pass_time(seconds=max(cursor.wait_seconds, 1))
        simulation.services.tick()
        simulation.worker.tick()
        for alarm in list(simulation.alarms.in_alarm):
            simulation.alarms.recover(alarm)
    run_step(cursor.rollback_id, Step.DONE, simulation.ports)
    return simulation.ledger.read(service, cursor.rollback_id).outcome


DAMAGE = st.sampled_from(["no JSON", "wrong types", "unknown values", "attributes gone", "from the future"])


def damage_item(item: dict[str, Any], how: str) -> dict[str, Any]:
    key = {name: item[name] for name in ("pk", "sk")}
    rest = [name for name in item if name not in key]
    if how == "attributes gone":
        return key
    if how == "wrong types":
        return {**key, **{name: {"BOOL": True} for name in rest}}
    body = item.get("body", {}).get("S")
    if body is None or how == "no JSON":
        return {**key, **{name: {"S": "{damaged"} for name in rest}}
    raw = json.loads(body)
    if isinstance(raw, dict):
        raw |= {"schema_version": 99} if how == "from the future" else dict.fromkeys(raw, "unknown to this version")
    return {**item, "body": {"S": json.dumps(raw)}}


@settings(
    max_examples=60, phases=[Phase.generate], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_a_damaged_item_stops_no_other_service_and_no_emergency(data: Any, cloud: Any) -> None:
    client = cloud.client("dynamodb")
    table_name = new_table(client)
    simulation = items_of_two_services(table_name)
    items = sorted(client.scan(TableName=table_name[1])["Items"], key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    item = data.draw(st.sampled_from(items))
    client.put_item(TableName=table_name[1], Item=damage_item(item, data.draw(DAMAGE)))
    key = f"{item['pk']['S']} / {item['sk']['S']}"
    of_worker = WORKER in key
    mine, other = (WORKER, SERVICE) if of_worker else (SERVICE, WORKER)
    simulation.clock.pass_time(minutes=5)
    janitor.sweep(simulation.ports)
    alarm = DEGRADED if other == SERVICE else WORKER_DEGRADED
    simulation.alarms.fire(alarm, simulation.clock.now())
    outcome = run(simulation, other, alarm_event("e-other", alarm, simulation.clock.now()), "other")
    assert outcome is Outcome.SUCCEEDED, f"{key}: the other service {outcome}"
    outcome = run(simulation, mine, {"type": "emergency", "service": mine}, "mine")
    assert outcome is Outcome.SUCCEEDED, f"{key}: its own service by emergency {outcome}"


def test_a_damaged_open_record_is_paged_once_and_its_obligations_can_be_discharged(table: tuple[Any, str]) -> None:
    client, name = table
    simulation = items_of_two_services(table)
    key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": f"ROLLBACK#{SERVICE}-20260301T020000000Z-00000002"}}
    client.put_item(TableName=name, Item={**key, "version": {"N": "0"}, "body": {"S": "{damaged"}})
    for _ in range(3):
        simulation.clock.pass_time(minutes=5)
        janitor.sweep(simulation.ports)
    about = [page for page in simulation.pages() if "can't be read" in page]
    assert len(about) == 1
    assert "00000002" in about[0]
    (aside,) = simulation.ledger.unreadable()
    assert aside.is_reported
    dead = simulation.ledger.read(WORKER, f"{WORKER}-20260301T020000000Z-00000001")
    assert dead.concluded_at is not None  # the other service's was concluded all the same


def test_a_damaged_lease_is_set_aside_and_the_next_caller_acquires_the_lease(table: tuple[Any, str]) -> None:
    client, name = table
    ledger = DynamoLedger(client, name)
    former = ledger.acquire(SERVICE, "r1", NOW, LATER)
    assert former is not None
    key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": "LEASE"}}
    client.put_item(
        TableName=name, Item={**key, "holder": {"S": "r1"}, "counter": {"S": "many"}, "expires_at": {"S": "soon"}}
    )
    lease = ledger.acquire(SERVICE, "r2", NOW, LATER)
    assert lease is not None
    assert lease.counter > former.counter
    assert ledger.acquire(SERVICE, "r3", NOW, LATER) is None
    assert [item.key for item in ledger.unreadable()] == [f"SERVICE#{SERVICE} / LEASE"]


def test_the_newest_successful_drill_is_found_whatever_is_saved_later(table: tuple[Any, str]) -> None:
    ledger = DynamoLedger(*table)
    concluded = {"trigger": Trigger.DRILL, "outcome": Outcome.SUCCEEDED, "is_reported": True}
    older, newer = (
        rollback(
            id=f"{SERVICE}-20260301T0{hour}0000Z-00000001", execution=f"drill-{hour}", concluded_at=at, **concluded
        )
        for hour, at in ((1, NOW - timedelta(days=2)), (2, NOW - timedelta(days=1)))
    )
    ledger.create(older)
    ledger.create(newer)
    ledger.create(rollback(execution="failed-drill", **{**concluded, "outcome": Outcome.FAILED, "concluded_at": NOW}))
    ledger.save(older.evolve(reason="saved again"))
    found = ledger.last_drill(SERVICE)
    assert found is not None
    assert (found.rollback_id, found.ended_at) == (newer.id, newer.concluded_at)
    assert ledger.last_drill(WORKER) is None
