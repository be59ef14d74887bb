"""Direct mode: what the state machine does about a call that fails, this process does too."""

from typing import Any

import pytest
from builders import SERVICE
from simulation import Simulation, start_simulation

from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
from rollback_cli.direct import run_directly


def run(stage: Simulation, given: dict[str, Any]) -> Rollback:
    cursor = run_directly(given, stage.world, lambda _: None, lambda seconds: stage.pass_time(seconds=seconds))
    return stage.ledger.read(SERVICE, cursor.rollback_id)


def failing(stage: Simulation, times: int) -> None:
    """The first changes to ECS are refused."""
    update, failed = stage.services.update, 0

    def updates(*given: Any, **named: Any) -> None:
        nonlocal failed
        failed += 1
        if failed <= times:
            raise ExternalServiceError("UpdateService: ThrottlingException")
        update(*given, **named)

    stage.services.update = updates  # type: ignore[method-assign]


@pytest.mark.parametrize("given", [{}, {"type": "emergency"}])
def test_a_call_that_fails_once_does_not_end_the_rollback(given: dict[str, Any]) -> None:
    stage = start_simulation()
    failing(stage, times=1)
    assert run(stage, given).outcome is Outcome.SUCCEEDED


def test_a_step_that_keeps_failing_is_concluded_with_a_page_and_the_lease_returned() -> None:
    stage = start_simulation()
    failing(stage, times=1000)
    done = run(stage, {})
    assert done.outcome is Outcome.FAILED
    assert "ThrottlingException" in done.reason
    assert done.concluded_at is not None
    assert len(stage.pages()) == 1
    assert stage.ledger.lease(SERVICE) is None
