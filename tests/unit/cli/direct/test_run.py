"""Direct mode retries and catches a failed call as the state machine does."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.refusal import RefusesAll
from simulations.service import Simulation, start_simulation
from support.builders import SERVICE

from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
from rollback.workflow.route import Step
from rollback.workflow.runner import Cursor
from rollback_cli.direct import conclude
from rollback_cli.direct import run as run_module
from rollback_cli.direct.run import run_directly


def run(simulation: Simulation, execution_input: dict[str, Any]) -> Rollback:
    cursor = run_directly(
        execution_input, simulation.ports, lambda _: None, lambda seconds: simulation.pass_time(seconds=seconds)
    )
    return simulation.ledger.read(SERVICE, cursor.rollback_id)


def throttle_updates(simulation: Simulation, times: int) -> None:
    """Make ECS refuse the first changes."""
    update, calls = simulation.services.update, 0

    def throttled_update(*arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise ExternalServiceError("UpdateService: ThrottlingException")
        update(*arguments, **options)

    simulation.services.update = throttled_update  # type: ignore[method-assign]


@pytest.mark.parametrize("execution_input", [{}, {"type": "emergency"}])
def test_a_rollback_in_direct_mode_succeeds_despite_one_failed_call(execution_input: dict[str, Any]) -> None:
    simulation = start_simulation()
    throttle_updates(simulation, times=1)
    assert run(simulation, execution_input).outcome is Outcome.SUCCEEDED


def test_a_rollback_whose_step_keeps_failing_is_concluded_with_a_page_and_the_lease_returned() -> None:
    simulation = start_simulation()
    throttle_updates(simulation, times=1000)
    rollback = run(simulation, {})
    assert rollback.outcome is Outcome.FAILED
    assert "ThrottlingException" in rollback.reason
    assert rollback.concluded_at is not None
    assert len(simulation.pages()) == 1
    assert simulation.ledger.lease(SERVICE) is None


def test_each_failed_attempt_is_told_with_the_time_of_the_next_one() -> None:
    simulation = start_simulation()
    throttle_updates(simulation, times=2)
    told: list[str] = []
    run_directly({}, simulation.ports, lambda _: None, lambda s: simulation.pass_time(seconds=s), on_retry=told.append)
    assert told == [
        "attempt 1 of 7 failed, the next one follows in 1 s: UpdateService: ThrottlingException",
        "attempt 2 of 7 failed, the next one follows in 2 s: UpdateService: ThrottlingException",
    ]


def test_a_rollback_that_does_not_end_is_concluded_as_failed_after_six_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_simulation()
    monkeypatch.setattr(simulation.services, "tick", lambda: None)  # ECS never ends a deployment
    monkeypatch.setattr(run_module, "_MAX_DURATION", timedelta(minutes=1))
    rollback = run(simulation, {})
    assert (rollback.outcome, rollback.concluded_at is not None) == (Outcome.FAILED, True)
    assert "had not ended after" in rollback.reason


def test_a_rollback_succeeds_while_step_functions_and_eventbridge_refuse_every_call() -> None:
    simulation = start_simulation()
    simulation.replace(workflow=RefusesAll("states"), events=RefusesAll("events"))
    assert run(simulation, {}).outcome is Outcome.SUCCEEDED


def test_a_rollback_succeeds_while_cloudformation_gives_no_answer() -> None:
    simulation = start_simulation()
    service = simulation.service_settings.model_copy(update={"stack": "ServiceStack"})
    simulation.replace(
        stacks=RefusesAll("cloudformation"),
        settings=simulation.ports.settings.model_copy(update={"services": (service,)}),
    )
    rollback = run(simulation, {})
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.service is not None
    assert any("CloudFormation could not be asked" in note for note in rollback.service.notes)


def test_the_wait_for_a_conclusion_that_never_comes_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_simulation()
    rollback = simulation.ledger.save(simulation.admit().evolve(outcome=Outcome.ABORTED, wait_seconds=0))

    def run_step_that_waits(rollback_id: str, *_: object) -> Cursor:
        return Cursor(rollback_id=rollback_id, next=Step.CONCLUDE, wait_seconds=30)

    monkeypatch.setattr(conclude, "run_step", run_step_that_waits)
    with pytest.raises(ExternalServiceError, match="is aborted, but not concluded after 50 minutes"):
        conclude.wait_until_concluded(rollback.id, simulation.ports, lambda s: simulation.clock.pass_time(seconds=s))
