"""A rollback that waits for an approval, as `status`, `history` and `show` present it."""

import io

from rich.console import Console
from simulations.database import DatabaseSimulation
from support.builders import SERVICE

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.reports.report import message
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli.display import print_rollbacks
from rollback_cli.status_lines import status_lines

UNTIL = "until 2026-03-01 04:00:00 UTC, started by unverified: ada"


def waiting_rollback() -> tuple[DatabaseSimulation, Rollback]:
    simulation = DatabaseSimulation(Policy(), approval=ApprovalPolicy())
    request = {"type": "full", "requested_by": "ada", "reason": "v2 is bad"}
    rollback = simulation.run_until(simulation.admit(request), Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    return simulation, simulation.read(rollback)


def test_status_shows_who_started_the_waiting_rollback_until_when_it_waits_and_how_to_decide() -> None:
    simulation, rollback = waiting_rollback()
    lines = "\n".join(status_lines(simulation.service_settings, simulation.ports))
    assert rollback.id in lines
    assert UNTIL in lines
    assert f"rollback approve production {rollback.id} --reason '…'" in lines
    assert "none in progress" not in lines


def test_status_shows_no_waiting_rollback_after_the_gate() -> None:
    simulation, rollback = waiting_rollback()
    simulation.run_to_end(rollback)
    lines = "\n".join(status_lines(simulation.ports.settings.service(SERVICE), simulation.ports))
    assert "none in progress" in lines
    assert "waits for an approval" not in lines


def test_history_says_that_the_rollback_waits() -> None:
    _, rollback = waiting_rollback()
    console = Console(file=io.StringIO(), width=240)
    print_rollbacks(console, [rollback])
    assert isinstance(console.file, io.StringIO)
    table = console.file.getvalue()
    assert "open: approval" in table
    assert "waits for an approval" in table


def test_show_says_until_when_the_rollback_waits_and_offers_both_commands() -> None:
    simulation, rollback = waiting_rollback()
    report = message(rollback, simulation.service_settings)
    assert report.startswith(f"Rollback {rollback.id}: waits for an approval")
    assert UNTIL in report
    assert f"rollback reject production {rollback.id} --reason '…'" in report
