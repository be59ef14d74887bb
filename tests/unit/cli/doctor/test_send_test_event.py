"""The doctor's test event: sent once for each service, found in the ledger by its id, and timed."""

import json
from typing import Any

from simulations.doctor import Patient, healthy_patient
from support.builders import SERVICE

from rollback.check import Verdict
from rollback.domain.rollback import Rollback
from rollback.workflow.runner import run_step, start_rollback


def deliver(patient: Patient, *, seconds: float, to_conclude: bool = True) -> None:
    """Let EventBridge deliver each event to the state machine after some time."""

    def on_event(entry: dict[str, Any]) -> None:
        simulation = patient.simulation
        sent_at = simulation.clock.now()
        simulation.clock.pass_time(seconds=seconds)
        event = {
            "id": f"event-{len(patient.account.events)}",
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": "123456789012",
            "region": "eu-west-1",
            "time": sent_at.isoformat(),
            "resources": [],
            "detail": json.loads(entry["Detail"]),
        }
        cursor = start_rollback(event, "arn:execution", simulation.clock.now(), simulation.ports)
        for _ in range(5 if to_conclude else 0):
            cursor = run_step(cursor.rollback_id, cursor.next, simulation.ports)

    patient.account.on_event = on_event


def records(patient: Patient) -> list[Rollback]:
    return list(patient.simulation.ledger.history(SERVICE))


def test_an_event_that_arrives_passes_with_its_latency() -> None:
    patient = healthy_patient()
    deliver(patient, seconds=2)
    (finding,) = patient.test_event()
    assert finding.verdict is Verdict.PASS
    assert "admitted after 2.0 s, suppressed: test, concluded after 2.0 s" in finding.seen
    (record,) = records(patient)
    assert record.id in finding.seen
    (entry,) = patient.account.events
    assert entry["Source"] == "macro-ai.rollback"
    assert json.loads(entry["Detail"])["service"] == SERVICE


def test_an_event_that_arrives_late_is_a_warning() -> None:
    patient = healthy_patient()
    deliver(patient, seconds=45)
    (finding,) = patient.test_event()
    assert finding.verdict is Verdict.WARN
    assert "admitted after 45.0 s" in finding.seen


def test_an_event_that_never_arrives_fails() -> None:
    patient = healthy_patient()
    (finding,) = patient.test_event()
    assert finding.verdict is Verdict.FAIL
    assert "after 90 s the ledger has no record" in finding.seen
    assert "rule-on-test-event" in finding.to_do


def test_a_record_that_is_never_concluded_fails() -> None:
    patient = healthy_patient()
    deliver(patient, seconds=1, to_conclude=False)
    (finding,) = patient.test_event()
    assert finding.verdict is Verdict.FAIL
    assert "not concluded" in finding.seen


def test_an_operator_who_may_not_put_events_is_told() -> None:
    patient = healthy_patient()
    patient.account.forbidden.add("PutEvents")
    (finding,) = patient.test_event()
    assert finding.verdict is Verdict.SKIPPED
    assert "events:PutEvents" in finding.to_do
    assert not records(patient)
