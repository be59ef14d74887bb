"""A followed execution that left no record ends the wait with a reason, never a silent endless one."""

from typing import Any

import pytest
from simulations.service import start_simulation
from simulations.terminal import SimulatedDeployment

from rollback.errors import ExternalServiceError
from rollback_cli import start_and_follow
from rollback_cli.start_and_follow import run_in_step_functions
from rollback_cli.terminal_text import make_console

ARN = "arn:aws:states:eu-west-1:123456789012:execution:rollback:one"


class StepFunctions:
    """Step Functions with one execution, in this status."""

    def __init__(self, status: str) -> None:
        self.status = status

    def start_execution(self, **_: Any) -> dict[str, str]:
        return {"executionArn": ARN}

    def describe_execution(self, **_: Any) -> dict[str, str]:
        return {"status": self.status, "error": "Broken", "cause": "{}"}


@pytest.mark.parametrize(
    ("status", "reason"), [("SUCCEEDED", "has ended, but the ledger has no record"), ("FAILED", "ended as FAILED")]
)
def test_an_ended_execution_without_a_record_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, status: str, reason: str
) -> None:
    simulation = start_simulation()
    deployment = SimulatedDeployment(simulation.ports.settings, "ledger", "topic", "critical", "workflow", simulation)
    monkeypatch.setattr(start_and_follow, "make_client", lambda _: StepFunctions(status))
    with pytest.raises(ExternalServiceError, match=reason):
        run_in_step_functions(make_console(), deployment, {}, "one")
