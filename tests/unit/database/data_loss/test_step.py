"""Data Loss as a step: it follows the conclusion, is bounded, and never changes the outcome."""

from datetime import timedelta
from typing import Any

from simulations.database import BRANCH, GOOD, DatabaseSimulation
from support.builders import SERVICE
from support.database_progress import narrow

from rollback.domain.database.data_loss_analysis import ComparisonBase, comparison_branch_name
from rollback.domain.database.progress import ResetProgress
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.data_loss import format_data_loss
from rollback.resources.database.errors import AccessRefused, RequestRefused
from rollback.workflow import janitor
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step


def conclude_full_rollback(**database: Any) -> tuple[DatabaseSimulation, Rollback]:
    """Roll service and database back until the rollback is concluded."""
    simulation = DatabaseSimulation(**database)
    return simulation, simulation.run_until(simulation.admit(), Step.DATA_LOSS)


def run_data_loss_analysis(simulation: DatabaseSimulation, rollback: Rollback) -> Rollback:
    concluded_rollback = simulation.read(simulation.run_until(rollback))
    assert concluded_rollback.outcome is rollback.outcome
    return concluded_rollback


def formatted_data_loss(rollback: Rollback) -> str:
    assert rollback.database is not None
    assert rollback.database.data_loss is not None
    return "\n".join(format_data_loss(rollback.database.data_loss))


def test_the_first_report_announces_a_second_and_the_second_counts_lost_rows() -> None:
    simulation, rollback = conclude_full_rollback()
    first_report = simulation.notifications.sent[-1]
    assert "another report follows" in first_report.message
    rollback = run_data_loss_analysis(simulation, rollback)
    second_report = simulation.notifications.sent[-1]
    assert first_report.attributes["report_id"] != second_report.attributes["report_id"]
    assert second_report.subject.endswith("data loss")
    assert "gone: 2" in second_report.message
    assert "compared row by row: 1 table of 1 database, against a branch created at" in formatted_data_loss(rollback)


def test_the_report_gives_the_time_at_zero_tasks_and_the_restore_s_share() -> None:
    simulation, _ = conclude_full_rollback()
    (line,) = [line for line in simulation.notifications.sent[-1].message.split("\n") if "at zero tasks" in line]
    assert line.strip().startswith(f"{SERVICE}: at zero tasks for ")
    assert "of which the restore took" in line


def test_a_rollback_that_failed_after_its_restore_reports_data_loss_without_a_second_page() -> None:
    simulation = DatabaseSimulation()
    simulation.healthy_versions.clear()  # v1 is no better: the rollback fails, and the data is restored
    rollback = simulation.read(simulation.run())
    assert rollback.outcome is Outcome.FAILED
    assert simulation.rows() == GOOD
    assert "gone: 2" in formatted_data_loss(rollback)
    assert simulation.severities()[-2:] == ["page", "info"]


def test_data_loss_analysis_holds_no_lease() -> None:
    simulation, rollback = conclude_full_rollback()
    simulation.run_due_step(rollback)
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.ledger.lease(simulation.branch_key) is None


def test_the_comparison_branch_is_created_without_expiry_if_neon_refuses_an_expiry() -> None:
    simulation, rollback = conclude_full_rollback()
    simulation.neon.refuse_next("create_branch", RequestRefused("422: expires_at can't be used with the Data API"))
    while simulation.neon.branch_named(comparison_branch_name(rollback.id)) is None:
        rollback = simulation.run_due_step(rollback)
    branch = simulation.neon.branch_named(comparison_branch_name(rollback.id))
    assert branch is not None
    assert branch.expires_at is None
    assert "against a branch created at" in formatted_data_loss(run_data_loss_analysis(simulation, rollback))
    assert simulation.neon.branch_named(comparison_branch_name(rollback.id)) is None


def test_the_restored_branch_itself_is_compared_and_named_if_neon_refuses_a_child() -> None:
    simulation, rollback = conclude_full_rollback()
    for _ in range(2):
        simulation.neon.refuse_next("create_branch", RequestRefused("422: too many branches"))
    simulation.neon.write(BRANCH, 5)
    rollback = run_data_loss_analysis(simulation, rollback)
    assert rollback.database is not None
    assert rollback.database.data_loss_analysis is not None
    assert rollback.database.data_loss_analysis.base is ComparisonBase.BRANCH
    assert "as it is now (422: too many branches): rows that services have changed since" in formatted_data_loss(
        rollback
    )


def test_an_undo_is_compared_with_its_source_branch() -> None:
    simulation, rollback = conclude_full_rollback()
    run_data_loss_analysis(simulation, rollback)
    simulation.pass_time(minutes=30)
    undo = simulation.read(
        simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "e2")
    )
    assert undo.outcome is not Outcome.REFUSED, undo.reason
    assert undo.database is not None
    assert undo.database.data_loss_analysis is not None
    assert undo.database.data_loss_analysis.base is ComparisonBase.SOURCE
    assert simulation.neon.endpoints(narrow(undo.database, ResetProgress).source_branch_id) == ()


def test_a_refused_comparison_is_reported_with_its_reason() -> None:
    simulation, rollback = conclude_full_rollback()
    simulation.neon.refuse_next("create_endpoint", AccessRefused("403: no more computes"))
    assert "could not be determined: 403: no more computes" in formatted_data_loss(
        run_data_loss_analysis(simulation, rollback)
    )


def test_an_analysis_of_a_suspended_database_ends_in_time() -> None:
    simulation, rollback = conclude_full_rollback(data_loss_timeout_minutes=3)
    began = simulation.clock.now()
    simulation.sql.asleep = 10_000
    assert "the comparison did not end in 3 minutes" in formatted_data_loss(
        run_data_loss_analysis(simulation, rollback)
    )
    assert simulation.clock.now() - began < timedelta(minutes=10)


def test_a_crashed_analysis_is_reported_and_the_outcome_stays() -> None:
    """The state machine's Catch leads to Conclude."""
    simulation, rollback = conclude_full_rollback()
    run_step(rollback.id, Step.CONCLUDE, simulation.ports, "Lambda.Unknown: out of memory")
    assert "could not be determined: Lambda.Unknown: out of memory" in formatted_data_loss(
        run_data_loss_analysis(simulation, rollback)
    )


def test_the_janitor_ends_only_an_overdue_analysis() -> None:
    simulation, rollback = conclude_full_rollback()
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).is_data_loss_report_due
    for _ in range(10):
        simulation.pass_time(minutes=5)
        janitor.sweep(simulation.ports)
    rollback = simulation.read(rollback)
    assert not rollback.is_data_loss_report_due
    assert "its execution ended before the comparison did" in formatted_data_loss(rollback)
