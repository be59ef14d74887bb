from typing import Any

import pytest
from simulations.service import QUARANTINED, Simulation, start_simulation

from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.workflow.janitor import sweep


def publishing_fails(simulation: Simulation, times: int) -> None:
    publish, left = simulation.notifications.publish, [times]

    def fails(*given: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise ExternalServiceError("SNS is down")
        publish(*given)

    simulation.notifications.publish = fails  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_conclude_retries_the_report_until_sns_takes_it_and_sends_it_once(failures: int) -> None:
    simulation = start_simulation()
    publishing_fails(simulation, failures)
    done = simulation.run()
    assert done.outcome is Outcome.SUCCEEDED
    assert simulation.severities() == ["info"]
    assert simulation.state_of("v2") == QUARANTINED


def test_an_unsendable_report_changes_no_outcome_and_the_janitor_sends_it_later() -> None:
    simulation = start_simulation()
    publishing_fails(simulation, 150)
    done = simulation.run()
    assert (done.outcome, done.is_reported) == (Outcome.SUCCEEDED, False)
    for _ in range(150):
        sweep(simulation.ports)
    assert simulation.severities() == ["info"]


def test_a_deleted_service_does_not_block_the_conclusion() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    for _ in range(2):
        simulation.run_due_step(rollback)
    simulation.services.status = "INACTIVE"
    saved = simulation.ledger.save(simulation.read(rollback).evolve(outcome=Outcome.FAILED))
    done = simulation.run_until(saved)
    assert done.obligations[0].handed_to == "operator"
    assert simulation.severities() == ["page", "page"]
    at_once, afterwards = (sent.attributes["report_id"] for sent in simulation.notifications.sent)
    assert afterwards == f"{at_once}:not-restored"
