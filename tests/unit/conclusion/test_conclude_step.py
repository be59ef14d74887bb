"""Conclude: the report is sent once, and a failure to send or to discharge never blocks the conclusion."""

from typing import Any

import pytest
from simulations.service import QUARANTINED, Simulation, start_simulation

from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.workflow.janitor import sweep


def fail_publishing(simulation: Simulation, times: int) -> None:
    publish, remaining_failures = simulation.notifications.publish, [times]

    def publish_or_fail(*arguments: Any) -> None:
        if remaining_failures[0] > 0:
            remaining_failures[0] -= 1
            raise ExternalServiceError("SNS is down")
        publish(*arguments)

    simulation.notifications.publish = publish_or_fail  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_conclude_retries_until_sns_accepts_the_report_and_sends_one_report(failures: int) -> None:
    simulation = start_simulation()
    fail_publishing(simulation, failures)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.severities() == ["info"]
    assert simulation.state_of("v2") == QUARANTINED


def test_an_unsendable_report_changes_no_outcome_and_the_janitor_sends_the_report_later() -> None:
    simulation = start_simulation()
    fail_publishing(simulation, 150)
    rollback = simulation.run()
    assert (rollback.outcome, rollback.is_reported) == (Outcome.SUCCEEDED, False)
    for _ in range(150):
        sweep(simulation.ports)
    assert simulation.severities() == ["info"]


def test_a_deleted_service_does_not_block_the_conclusion() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    for _ in range(2):
        simulation.run_due_step(rollback)
    simulation.services.status = "INACTIVE"
    failed_rollback = simulation.ledger.save(simulation.read(rollback).evolve(outcome=Outcome.FAILED))
    concluded_rollback = simulation.run_until(failed_rollback)
    assert concluded_rollback.obligations[0].handed_to == "operator"
    assert simulation.severities() == ["page", "page"]
    first_report_id, second_report_id = (
        notification.attributes["report_id"] for notification in simulation.notifications.sent
    )
    assert second_report_id == f"{first_report_id}:not-restored"
