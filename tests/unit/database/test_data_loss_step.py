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


def concluded(**database: Any) -> tuple[DatabaseSimulation, Rollback]:
    """Service and database are back, and the rollback is concluded."""
    stage = DatabaseSimulation(**database)
    return stage, stage.run_until(stage.admit(), Step.DATA_LOSS)


def done(stage: DatabaseSimulation, rollback: Rollback) -> Rollback:
    ended = stage.read(stage.run_until(rollback))
    assert ended.outcome is rollback.outcome
    return ended


def words(rollback: Rollback) -> str:
    assert rollback.database is not None
    assert rollback.database.data_loss is not None
    return "\n".join(format_data_loss(rollback.database.data_loss))


def test_the_first_report_announces_a_second_and_the_second_counts_lost_rows() -> None:
    stage, rollback = concluded()
    first = stage.notifications.sent[-1]
    assert "another report follows" in first.message
    ended = done(stage, rollback)
    second = stage.notifications.sent[-1]
    assert first.attributes["report_id"] != second.attributes["report_id"]
    assert second.subject.endswith("lost writes")
    assert "gone: 2" in second.message
    assert "compared row by row: 1 table of 1 database, against a branch created at" in words(ended)


def test_the_report_gives_the_time_at_zero_tasks_and_the_restore_s_share() -> None:
    stage, _ = concluded()
    (line,) = [line for line in stage.notifications.sent[-1].message.split("\n") if "at zero tasks" in line]
    assert line.strip().startswith(f"{SERVICE}: at zero tasks for ")
    assert "of which the restore took" in line


def test_a_rollback_that_failed_after_its_restore_reports_data_loss_without_a_second_page() -> None:
    stage = DatabaseSimulation()
    stage.healthy_versions.clear()  # v1 is no better: the rollback fails, and the data is restored
    ended = stage.read(stage.run())
    assert ended.outcome is Outcome.FAILED
    assert stage.rows() == GOOD
    assert "gone: 2" in words(ended)
    assert stage.severities()[-2:] == ["page", "info"]


def test_data_loss_analysis_holds_no_lease() -> None:
    stage, rollback = concluded()
    stage.run_due_step(rollback)
    assert stage.ledger.lease(SERVICE) is None
    assert stage.ledger.lease(stage.branch_key) is None


def test_the_comparison_branch_is_created_without_expiry_if_neon_refuses_one() -> None:
    stage, rollback = concluded()
    stage.neon.refuse_next("create_branch", RequestRefused("422: expires_at can't be used with the Data API"))
    while stage.neon.branch_named(comparison_branch_name(rollback.id)) is None:
        rollback = stage.run_due_step(rollback)
    child = stage.neon.branch_named(comparison_branch_name(rollback.id))
    assert child is not None
    assert child.expires_at is None
    assert "against a branch created at" in words(done(stage, rollback))
    assert stage.neon.branch_named(comparison_branch_name(rollback.id)) is None


def test_the_restored_branch_itself_is_compared_and_named_if_neon_refuses_a_child() -> None:
    stage, rollback = concluded()
    for _ in range(2):
        stage.neon.refuse_next("create_branch", RequestRefused("422: too many branches"))
    stage.neon.write(BRANCH, 5)
    ended = done(stage, rollback)
    assert ended.database is not None
    assert ended.database.data_loss_analysis is not None
    assert ended.database.data_loss_analysis.base is ComparisonBase.BRANCH
    assert "as it is now (422: too many branches): rows that services have changed since" in words(ended)


def test_an_undo_is_compared_with_its_source_branch() -> None:
    stage, rollback = concluded()
    done(stage, rollback)
    stage.pass_time(minutes=30)
    undone = stage.read(stage.run({"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "e2"))
    assert undone.outcome is not Outcome.REFUSED, undone.reason
    assert undone.database is not None
    assert undone.database.data_loss_analysis is not None
    assert undone.database.data_loss_analysis.base is ComparisonBase.SOURCE
    assert stage.neon.endpoints(narrow(undone.database, ResetProgress).source_branch_id) == ()


def test_a_refused_comparison_is_reported_with_its_reason() -> None:
    stage, rollback = concluded()
    stage.neon.refuse_next("create_endpoint", AccessRefused("403: no more computes"))
    assert "could not be determined: 403: no more computes" in words(done(stage, rollback))


def test_a_database_that_does_not_wake_up_ends_the_analysis_in_time() -> None:
    stage, rollback = concluded(data_loss_timeout_minutes=3)
    began = stage.clock.now()
    stage.sql.asleep = 10_000
    assert "not done in 3 minutes" in words(done(stage, rollback))
    assert stage.clock.now() - began < timedelta(minutes=10)


def test_a_crashed_analysis_is_reported_and_the_outcome_stays() -> None:
    """The state machine's Catch leads to Conclude."""
    stage, rollback = concluded()
    run_step(rollback.id, Step.CONCLUDE, stage.world, "Lambda.Unknown: out of memory")
    assert "could not be determined: Lambda.Unknown: out of memory" in words(done(stage, rollback))


def test_the_janitor_leaves_a_young_analysis_alone_and_ends_an_overdue_one() -> None:
    stage, rollback = concluded()
    janitor.sweep(stage.world)
    assert stage.read(rollback).is_data_loss_report_due
    for _ in range(10):
        stage.pass_time(minutes=5)
        janitor.sweep(stage.world)
    ended = stage.read(rollback)
    assert not ended.is_data_loss_report_due
    assert "its execution ended before the comparison did" in words(ended)
