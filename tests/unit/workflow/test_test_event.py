"""The test event of `rollback doctor`: suppressed, recorded, and without any other effect."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.fake_ports import DEGRADED
from simulations.service import Simulation, alarm_event, start_simulation
from support.builders import NOW, SERVICE

from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import InvalidRequest
from rollback.rendering.markdown import render_markdown
from rollback.stored_report.channel import current_document
from rollback.workflow.route import Step, entrance, next_step


def event(event_id: str = "t1", **detail: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "detail-type": "rollback.test",
        "source": "macro-ai.rollback",
        "time": NOW.isoformat(),
        "resources": [],
        "detail": {"environment": "production", "service": SERVICE, **detail},
    }


def conclude(simulation: Simulation, rollback: Rollback) -> Rollback:
    for _ in range(20):
        if next_step(rollback) is Step.DONE:
            return rollback
        rollback = simulation.run_due_step(rollback)
    raise AssertionError(f"never concluded: {rollback}")


def test_a_test_event_is_suppressed_for_good() -> None:
    simulation = start_simulation()
    rollback = simulation.admit(event())
    assert rollback.trigger is Trigger.TEST
    assert rollback.outcome is Outcome.SUPPRESSED
    assert rollback.reason.startswith("test")
    assert rollback.recheck_at is None
    assert next_step(rollback) is Step.CONCLUDE


def test_a_test_event_takes_no_lease_and_tells_nobody() -> None:
    simulation = start_simulation()
    before = simulation.services.describe(simulation.service_settings)
    rollback = conclude(simulation, simulation.admit(event()))
    assert rollback.concluded_at is not None
    assert simulation.ledger.lease(SERVICE) is None
    assert not simulation.notifications.sent
    assert not simulation.ports.events.put_events  # type: ignore[attr-defined]
    assert not simulation.metrics.counted
    assert not simulation.services.calls
    assert simulation.services.describe(simulation.service_settings) == before
    assert not simulation.ledger.pending(SERVICE).items


def test_a_test_event_during_an_alarm_hides_no_alarm() -> None:
    simulation = start_simulation()
    conclude(simulation, simulation.admit(event("t1")))
    real = simulation.admit(alarm_event("e1", DEGRADED), "execution-2")
    assert real.outcome is None
    assert real.lease_counter is not None


def test_an_open_test_record_blocks_no_rollback_and_is_no_predecessor() -> None:
    """Its execution may be slow, or may have died before Conclude."""
    simulation = start_simulation()
    simulation.admit(event("t1"))
    real = simulation.admit(alarm_event("e1", DEGRADED), "execution-2")
    assert real.outcome is None
    assert real.continues_rollback_id is None


def test_a_test_event_beside_an_open_rollback_leaves_its_lease() -> None:
    simulation = start_simulation()
    real = simulation.admit(alarm_event("e1", DEGRADED))
    conclude(simulation, simulation.admit(event("t1"), "execution-2"))
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == real.id


def test_a_test_event_is_no_result_of_a_failed_deployment() -> None:
    """An event without an alarm would be filed with failed deployments, and could make the next one look known."""
    simulation = start_simulation()
    conclude(simulation, simulation.admit(event("t1")))
    assert not simulation.ledger.trigger_results(SERVICE, "deployment-failed", NOW - timedelta(days=1)).items


def test_a_test_event_with_an_outage_alarms_name_starts_no_emergency() -> None:
    simulation = start_simulation()
    hostile = event("t1", alarmName="macro-ai-production-express-api-outage")
    assert entrance(hostile) is Step.EMERGENCY
    rollback = simulation.admit(hostile)
    assert rollback.outcome is Outcome.SUPPRESSED
    assert not simulation.services.calls


def test_a_stale_test_event_is_suppressed_too() -> None:
    simulation = start_simulation()
    simulation.clock.pass_time(minutes=30)
    assert simulation.admit(event()).outcome is Outcome.SUPPRESSED


@pytest.mark.parametrize(
    "detail", [{"service": "unknown"}, {"service": None}, {"environment": "staging"}, {"environment": 1}]
)
def test_a_test_event_for_something_else_is_refused(detail: dict[str, Any]) -> None:
    simulation = start_simulation()
    with pytest.raises(InvalidRequest):
        simulation.admit(event(**detail))
    assert not list(simulation.ledger.history(SERVICE))


def test_the_account_of_a_test_event_tells_of_no_failed_deployment() -> None:
    simulation = start_simulation()
    rollback = conclude(simulation, simulation.admit(event()))
    account = render_markdown(current_document(rollback, simulation.ports, has_stored=False))
    assert "A test event of" in account
    assert "The doctor sent a test event" in account
    assert "deployment failed" not in account.lower()
    assert "failed deployment" not in account.lower()
