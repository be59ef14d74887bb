"""Example calls of the ledger's ports (`rollback.ports.ledger`)."""

from datetime import timedelta
from typing import Any

from examples.calls import EachOf, Example, FromFake
from fakes.ledger import FakeLedger
from support.builders import NOW, SERVICE, definition, release, rollback

from rollback.domain.approval.gate import Decision, DecisionKind
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.lease import Lease
from rollback.domain.ledger.page_count import PageCount
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import ReleaseState, normalised_definition
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, TriggerEvent
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.standing_plan import Bake, StandingPlan, StandingTarget
from rollback.domain.stored import SkippedItem
from rollback.errors import UnreadableItem
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.probe import DatabaseProbe
from rollback.resources.database.wal_position import Lsn

OTHER, ALARM, BRANCH = "worker", "macro-ai-production-express-api-outage", "BRANCH#shop#main"
SOON, LATE = NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)
BEFORE, AFTER = NOW - timedelta(days=1), NOW + timedelta(days=1)
ID, UNKNOWN = rollback().id, f"{SERVICE}-20260301T030001Z-99999999"

ACTED = rollback(
    admitted_at=NOW,
    execution="execution-1",
    lease_counter=1,
    event=TriggerEvent(id="e1", at=NOW, alarm=ALARM),
    service=ServiceProgress(started_at=NOW, escalation_level_since=NOW, acted_at=NOW),
    obligations=(Obligation(kind=ObligationKind.SCALING, before={}),),
)
DRILLED = rollback(
    id=f"{SERVICE}-20260301T025900Z-00000002",
    execution="execution-drill",
    trigger=Trigger.DRILL,
    outcome=Outcome.SUCCEEDED,
    is_reported=True,
    concluded_at=NOW,
)
OPEN = rollback(id=f"{SERVICE}-20260301T030005Z-00000001", execution="execution-2")
V1, V2 = release("v1", hours_ago=48), release("v2", state=ReleaseState.CANDIDATE)
V3 = release("v3", state=ReleaseState.CANDIDATE)
DEFINITIONS = {one.version: normalised_definition(definition(one.version), {}) for one in (V1, V2, V3)}
HELD = Lease(service=SERVICE, holder=ID, counter=1, expires_at=SOON)
SCHEMA, ANOTHER_SCHEMA = ReleaseSchema(), ReleaseSchema(recorded_schema=LiveSchema(tables={}))
POINT = RecordedPoint(
    branch=BRANCH, service=SERVICE, version="v2", at=NOW, lsn=Lsn(7), recorded_at=NOW, by="checkpoint"
)
PROBE = DatabaseProbe(branch=BRANCH, at=NOW, has_answered=True, connect_milliseconds=40, query_milliseconds=3)
OBSERVATION = Observation(branch=BRANCH, schema_sha256=SCHEMA.sha256, observed_at=NOW)
PLAN = StandingPlan(service=SERVICE, computed_at=NOW)
READY = PLAN.model_copy(update={"targets": (StandingTarget(release=V1, definition_arn=V1.definition_arn),)})
BASELINE = LogBaseline(since=BEFORE, until=NOW, errors=1)
BAKE = Bake(service=SERVICE, deployment_id="ecs-svc/1", since=NOW)
PAUSE = Pause(service=SERVICE, since=NOW, by="ada", reason="drill")
CAUSED = CausedDeployment(
    service=SERVICE, asked_at=NOW, definition_arn=V1.definition_arn, replaced_deployment_id="ecs-svc/1"
)
ACTION = OperatorAction(service=SERVICE, at=NOW, verb="unlock", by="ada", reason="drill")
APPROVED = Decision(kind=DecisionKind.APPROVED, by="ada", reason="looks right", at=NOW)
REJECTED = APPROVED.model_copy(update={"kind": DecisionKind.REJECTED})
UNREADABLE = UnreadableItem("SERVICE#express-api / LEASE", "no holder")
SKIPPED_ITEM = SkippedItem(key=UNREADABLE.key, why=UNREADABLE.why)
PAGES = PageCount(service=SERVICE, aggregation_key="alarm", sent_at=NOW, unreported=1, last_rollback_id=ID, last_at=NOW)

DUE = Delivery(rollback_id=ID, channel=Channel.CHAT).want("concluded", 1, NOW)
STORED_DUE = DUE.model_copy(update={"version": 1})


def _changed(model: Any, **changes: Any) -> Any:
    return model.model_copy(update=changes)


def ledger() -> FakeLedger:
    """Return a ledger: a drill succeeded, one rollback acted and holds the lease, another is open, v1 is promoted."""
    fake = FakeLedger()
    fake.create(DRILLED)
    fake.create(ACTED)
    fake.create(OPEN)
    assert fake.acquire(SERVICE, ID, NOW, SOON) == HELD
    for sample in (V1, V2):
        fake.record(sample, DEFINITIONS[sample.version])
    fake.put_schema(SCHEMA)
    fake.put_restore_point(POINT)
    fake.put_observation(OBSERVATION)
    fake.put_database_probe(PROBE)
    fake.put_standing_plan(PLAN)
    fake.put_bake(BAKE)
    fake.put_pause(PAUSE)
    fake.record_action(ACTION)
    fake.put_caused_deployment(CAUSED)
    fake.record_unreadable(UNREADABLE, NOW)
    fake.put_page_count(PAGES, None)
    fake.put_approval_token(ID, "waiting", b"token", SOON)
    fake.put_approval_decision(ID, "decided", REJECTED)
    fake.put_delivery(DUE, None)
    return fake


def _of_service() -> Example:
    return Example({"service": SERVICE}, {"service": OTHER})


def _moved_on(**changes: Any) -> FromFake:
    """Return the stored document with changes."""
    return FromFake(lambda made: made.read(SERVICE, ID).evolve(**changes))


_NEWER = rollback(id=UNKNOWN, execution="execution-3")
_DOCUMENT: dict[str, Any] = {"rollback": _moved_on(reason="it moved on")}
_OTHER_DOCUMENT: tuple[Any, ...] = (
    _moved_on(reason="otherwise"),
    FromFake(lambda made: made.read(SERVICE, OPEN.id)),
    _moved_on(version=7),
)


EXAMPLES: dict[str, Example] = {
    "Documents.create": Example(
        {"rollback": _NEWER},
        {"rollback": EachOf((ACTED, _NEWER.evolve(event=TriggerEvent(id="e1", at=NOW)), _NEWER.evolve(reason="x")))},
    ),
    "Documents.read": Example(
        {"service": SERVICE, "rollback_id": ID}, {"service": OTHER, "rollback_id": EachOf((OPEN.id, UNKNOWN))}
    ),
    "Documents.save": Example(
        {**_DOCUMENT, "under_lease_until": NOW},
        {"rollback": EachOf(_OTHER_DOCUMENT), "under_lease_until": LATE},
    ),
    "Documents.reopen": Example(_DOCUMENT, {"rollback": EachOf(_OTHER_DOCUMENT)}),
    "Documents.find_by_execution": Example(
        {"execution": "execution-1"}, {"execution": EachOf(("execution-2", "none"))}
    ),
    "Documents.history": Example({"service": SERVICE}, {"service": OTHER}),
    "Documents.records": Example(
        {"service": SERVICE, "before": None}, {"service": OTHER, "before": EachOf((ID, OPEN.id))}
    ),
    "Index.pending": Example({"service": SERVICE}, {"service": OTHER}),
    "Index.obligations": Example({"service": SERVICE}, {"service": OTHER}),
    "Index.last_drill": Example({"service": SERVICE}, {"service": OTHER}),
    "Index.changes": Example({"service": SERVICE, "since": BEFORE}, {"service": OTHER, "since": AFTER}),
    "Index.trigger_results": Example(
        {"service": SERVICE, "alarm": ALARM, "since": BEFORE},
        {"service": OTHER, "alarm": "another", "since": AFTER},
    ),
    "Index.clear_unreadable": Example(
        {"service": SERVICE, "rollback_id": ID}, {"service": OTHER, "rollback_id": OPEN.id}
    ),
    "Index.record_unreadable": Example(
        {"unreadable": UnreadableItem("a / b", "why"), "at": NOW},
        {"unreadable": UnreadableItem("c / d", "why"), "at": AFTER},
    ),
    "Index.unreadable": Example({}, {}),
    "Index.mark_reported": Example({"unreadable": SKIPPED_ITEM}, {"unreadable": SkippedItem(key="c / d", why="why")}),
    "Index.build_index": Example({"services": (SERVICE,), "now": NOW}, {"services": (OTHER,), "now": AFTER}),
    "Pages.page_count": Example(
        {"service": SERVICE, "aggregation_key": "alarm"}, {"service": OTHER, "aggregation_key": "another"}
    ),
    "Pages.put_page_count": Example(
        {"count": _changed(PAGES, total=2), "previous_count": PAGES},
        {"count": _changed(PAGES, total=3), "previous_count": None},
    ),
    "Pages.page_counts": Example({}, {}),
    "Deliveries.delivery": Example(
        {"rollback_id": ID, "channel": Channel.CHAT}, {"rollback_id": UNKNOWN, "channel": Channel.ISSUE}
    ),
    "Deliveries.put_delivery": Example(
        {"delivery": STORED_DUE.claim(NOW), "previous": STORED_DUE},
        {"delivery": STORED_DUE.mark_delivered("concluded", "7", NOW), "previous": None},
    ),
    "Deliveries.due_deliveries": Example({}, {}),
    "Leases.acquire": Example(
        {"service": SERVICE, "rollback_id": OPEN.id, "now": SOON, "until": LATE},
        {"service": OTHER, "rollback_id": ID, "now": NOW, "until": AFTER},
    ),
    "Leases.renew": Example(
        {"lease": HELD, "now": NOW, "until": LATE},
        {"lease": EachOf((_changed(HELD, service=OTHER), _changed(HELD, counter=2))), "now": LATE, "until": AFTER},
    ),
    "Leases.take_over": Example(
        {"lease": HELD, "rollback_id": OPEN.id, "until": LATE},
        {
            "lease": EachOf((_changed(HELD, service=OTHER), _changed(HELD, counter=2))),
            "rollback_id": "x",
            "until": AFTER,
        },
    ),
    "Leases.release_lease": Example(
        {"service": SERVICE, "rollback_id": ID}, {"service": OTHER, "rollback_id": OPEN.id}
    ),
    "Leases.lease": _of_service(),
    "Leases.lease_counter": _of_service(),
    "Releases.record": Example(
        {"release": V3, "definition": DEFINITIONS["v3"]}, {"release": V2, "definition": DEFINITIONS["v2"]}
    ),
    "Releases.definition": Example(
        {"sha256": V1.definition_sha256}, {"sha256": EachOf((V2.definition_sha256, "0" * 64))}
    ),
    "Releases.release": Example(
        {"service": SERVICE, "fingerprint": V1.fingerprint}, {"service": OTHER, "fingerprint": V2.fingerprint}
    ),
    "Releases.find": Example({"service": SERVICE, "name": "v1"}, {"service": OTHER, "name": EachOf(("v2", "v9"))}),
    "Releases.promoted": _of_service(),
    "Releases.releases": Example(
        {"service": SERVICE, "since": BEFORE}, {"service": OTHER, "since": EachOf((None, AFTER))}
    ),
    "Releases.set_release_state": Example(
        {"release": V2, "state": ReleaseState.PROMOTED, "at": NOW, "reason": "baked"},
        {
            "release": EachOf((V1, _changed(V2, state=ReleaseState.SUSPECT))),
            "state": ReleaseState.QUARANTINED,
            "at": AFTER,
            "reason": "another",
        },
    ),
    "Releases.promote_release": Example(
        {"release": V2, "at": NOW, "reason": "baked", "lease_counter": 1},
        {
            "release": EachOf((V1, _changed(V2, state=ReleaseState.SUSPECT))),
            "at": AFTER,
            "reason": "another",
            "lease_counter": EachOf((0, 2)),
        },
    ),
    "Releases.set_log_baseline": Example(
        {"release": V2, "baseline": BASELINE},
        {
            "release": EachOf((V1, _changed(V2, state=ReleaseState.SUSPECT))),
            "baseline": BASELINE.model_copy(update={"errors": 2}),
        },
    ),
    "Releases.bake": _of_service(),
    "Releases.put_bake": Example(
        {"bake": BAKE}, {"bake": EachOf((_changed(BAKE, service=OTHER), _changed(BAKE, since=AFTER)))}
    ),
    "Releases.standing_plan": _of_service(),
    "Releases.put_standing_plan": Example(
        {"plan": READY}, {"plan": EachOf((_changed(READY, service=OTHER), _changed(READY, computed_at=BEFORE)))}
    ),
    "Releases.replace_standing_plan": Example(
        {"known_plan": PLAN, "amended_plan": READY},
        {
            "known_plan": EachOf((READY, _changed(PLAN, service=OTHER))),
            "amended_plan": _changed(READY, database_seen_at=NOW),
        },
    ),
    "Branches.put_schema": Example({"schema": SCHEMA}, {"schema": ANOTHER_SCHEMA}),
    "Branches.schema": Example({"sha256": SCHEMA.sha256}, {"sha256": ANOTHER_SCHEMA.sha256}),
    "Branches.set_release_schema": Example(
        {"release": V1, "schema_sha256": SCHEMA.sha256},
        {"release": EachOf((V2, _changed(V1, version="v9"))), "schema_sha256": ANOTHER_SCHEMA.sha256},
    ),
    "Branches.put_restore_point": Example(
        {"point": _changed(POINT, version="v3")}, {"point": EachOf((POINT, _changed(POINT, branch="another")))}
    ),
    "Branches.restore_points": Example({"branch": BRANCH, "since": None}, {"branch": "another", "since": AFTER}),
    "Branches.observation": Example({"branch": BRANCH}, {"branch": "another"}),
    "Branches.put_observation": Example(
        {"observation": _changed(OBSERVATION, schema_sha256="0" * 64)},
        {
            "observation": EachOf(
                (OBSERVATION, _changed(OBSERVATION, observed_at=BEFORE), _changed(OBSERVATION, branch="another"))
            )
        },
    ),
    "Branches.database_probe": Example({"branch": BRANCH}, {"branch": "another"}),
    "Branches.put_database_probe": Example(
        {"probe": _changed(PROBE, has_answered=False)},
        {"probe": EachOf((PROBE, _changed(PROBE, at=BEFORE), _changed(PROBE, branch="another")))},
    ),
    "Operators.pause": _of_service(),
    "Operators.put_pause": Example({"pause": _changed(PAUSE, service=OTHER)}, {"pause": _changed(PAUSE, by="grace")}),
    "Operators.end_pause": _of_service(),
    "Operators.record_action": Example({"action": ACTION}, {"action": _changed(ACTION, verb="abort")}),
    "Operators.actions": _of_service(),
    "CausedDeployments.caused_deployment": _of_service(),
    "CausedDeployments.put_caused_deployment": Example(
        {"caused": _changed(CAUSED, asked_at=LATE)}, {"caused": _changed(CAUSED, service=OTHER)}
    ),
    "Approvals.approval_decision": Example(
        {"rollback_id": ID, "nonce": "decided"}, {"rollback_id": UNKNOWN, "nonce": "waiting"}
    ),
    "Approvals.put_approval_decision": Example(
        {"rollback_id": ID, "nonce": "waiting", "decision": APPROVED},
        {"rollback_id": UNKNOWN, "nonce": "decided", "decision": REJECTED},
    ),
    "Approvals.put_approval_token": Example(
        {"rollback_id": ID, "nonce": "waiting", "token": b"new", "until": SOON},
        {"rollback_id": UNKNOWN, "nonce": "decided", "token": b"other", "until": LATE},
    ),
}
