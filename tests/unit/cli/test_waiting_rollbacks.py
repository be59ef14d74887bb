"""A rollback that waits for an approval, as `status`, `history` and `show` present it."""

from simulations.database import DatabaseSimulation
from support.builders import SERVICE

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.reports.report import message
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli.output.rollbacks.history import list_rollback
from rollback_cli.output.status.lines import status_lines
from rollback_cli.output.status.read import read_status

UNTIL = "until 2026-03-01 04:00:00 UTC, started by unverified: ada"


def waiting_rollback() -> tuple[DatabaseSimulation, Rollback]:
    simulation = DatabaseSimulation(Policy(), approval=ApprovalPolicy())
    request = {"type": "full", "requested_by": "ada", "reason": "v2 is bad"}
    rollback = simulation.run_until(simulation.admit(request), Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    return simulation, simulation.read(rollback)


def status_text(simulation: DatabaseSimulation) -> str:
    status = read_status(simulation.ports.settings.service(SERVICE), simulation.ports)
    return "\n".join(f"{line.label} {line.text}" for line in status_lines(status))


def test_status_shows_who_started_the_waiting_rollback_until_when_it_waits_and_how_to_decide() -> None:
    simulation, rollback = waiting_rollback()
    lines = status_text(simulation)
    assert rollback.id in lines
    assert UNTIL in lines
    assert f"rollback approve production {rollback.id} --reason '…'" in lines
    assert "none in progress" not in lines


def test_status_shows_no_waiting_rollback_after_the_gate() -> None:
    simulation, rollback = waiting_rollback()
    simulation.run_to_end(rollback)
    lines = status_text(simulation)
    assert "none in progress" in lines
    assert "waits for an approval" not in lines


def test_history_says_that_the_rollback_waits() -> None:
    _, rollback = waiting_rollback()
    listed = list_rollback(rollback)
    assert (listed.state, listed.outcome) == ("open: approval", None)
    assert listed.reason.startswith("waits for an approval")


def test_show_says_until_when_the_rollback_waits_and_offers_both_commands() -> None:
    simulation, rollback = waiting_rollback()
    report = message(rollback, simulation.service_settings)
    assert report.startswith(f"Rollback {rollback.id}: waits for an approval")
    assert UNTIL in report
    assert f"rollback reject production {rollback.id} --reason '…'" in report
