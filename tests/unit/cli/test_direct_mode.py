"""Direct mode retries and catches a failed call as the state machine does."""

from typing import Any

import pytest
from simulations.service import Simulation, start_simulation
from support.builders import SERVICE

from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
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
