"""Crashes of the data loss analysis after every call: the loss is reported once, and no branch or compute is left.

The rollback is concluded before the analysis. In every case its outcome stays, no lease is held, and no service waits.
"""

import pytest
from fakes.aws.step_functions import execution_arn
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.full import SCALED, V1, FullIncident
from faults.scenarios.service import EVENT
from simulations.database import BAD, BRANCH, GOOD
from support.builders import SERVICE

from rollback.domain.database.data_loss_analysis import COMPARISON_BRANCH_PREFIX
from rollback.domain.rollback import Outcome, Rollback
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.resumed_comparisons import resume_abandoned_comparisons
from rollback.workflow.route import Step
from rollback.workflow.runner import Cursor, cursor_of, run_step


class AnalysisIncident(FullIncident):
    """Concluded full rollback whose data loss analysis is due."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = execution_arn("execution-1")
        self.workflow.running.add(name)
        self.cursor = cursor_of(admit(EVENT, name, self.clock.now(), self.ports))
        while self.cursor.next is not Step.DATA_LOSS:
            self.step()
        self.neon.calls.clear()
        self.execution = name

    def step(self) -> None:
        self.cursor = run_step(self.cursor.rollback_id, self.cursor.next, self.ports)
        self.pass_time(seconds=self.cursor.wait_seconds)

    def run_until_done(self, *, retries: bool = True) -> None:
        for _ in range(200):
            if self.cursor.next is Step.DONE:
                return
            due = self.cursor
            cursor: Cursor = self._run_with_restarts(
                lambda due=due: run_step(due.rollback_id, due.next, self.ports), retries
            )
            self.cursor = cursor
            self.pass_time(seconds=cursor.wait_seconds)
        raise AssertionError(self.cursor)

    @property
    def document(self) -> Rollback:
        (only,) = self.documents()
        return only

    def assert_the_conclusion_stands(self) -> None:
        assert self.document.outcome is Outcome.SUCCEEDED
        assert self.document.concluded_at is not None
        assert (self.running_fingerprint(), self.services.desired_count) == (V1, 2)
        assert self.scaling.target == SCALED
        assert self.neon.rows(BRANCH) == GOOD
        self.assert_no_data_loss()

    def assert_cleaned_up_and_reported(self) -> None:
        self.assert_the_conclusion_stands()
        assert not self.document.is_data_loss_report_due
        assert self.document.is_reported
        assert [
            branch.name for branch in self.neon.branches() if branch.name.startswith(COMPARISON_BRANCH_PREFIX)
        ] == []
        (backup,) = self.backups()
        assert self.neon.endpoints(backup.id) == (), "the backup has a compute with production's passwords"
        assert "Data loss:" in self.notifications.sent[-1].message
        assert self.notifications.sent[-1].attributes["report_id"].endswith(":data-loss")


def count_calls_without_crash() -> int:
    incident = AnalysisIncident()
    incident.outside.kill_at_call(None, after=True)
    incident.run_until_done()
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_exact(incident: AnalysisIncident) -> None:
    incident.assert_cleaned_up_and_reported()
    database = incident.document.database
    assert database is not None
    assert database.data_loss is not None
    assert [table.removed_rows for table in database.data_loss.tables] == [len(BAD)]
    assert database.data_loss.is_complete


def test_the_analysis_holds_no_lease_and_no_service() -> None:
    incident = AnalysisIncident()
    incident.assert_the_conclusion_stands()
    assert incident.ledger.lease(SERVICE) is None
    assert incident.ledger.lease(incident.branch_key) is None
    assert "another report follows" in incident.notifications.sent[-1].message


def test_an_analysis_creates_and_deletes_one_branch_and_one_compute() -> None:
    incident = AnalysisIncident()
    incident.run_until_done()
    assert_exact(incident)
    assert incident.neon.calls == ["create_branch", "create_endpoint", "delete_branch", "delete_endpoint"]


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_an_analysis_killed_at_any_call_and_retried_is_exact(kill_at: int) -> None:
    incident = AnalysisIncident()
    incident.outside.kill_at_call(kill_at, after=True)
    incident.run_until_done()
    assert_exact(incident)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_the_janitor_cleans_up_and_reports_an_analysis_killed_at_any_call(kill_at: int) -> None:
    incident = AnalysisIncident()
    incident.outside.kill_at_call(kill_at, after=True)
    with pytest.raises(ProcessKilled):
        incident.run_until_done(retries=False)
    incident.workflow.running.discard(incident.execution)
    for _ in range(12):
        incident.pass_time(minutes=5)
        janitor.sweep(incident.ports)
    incident.assert_cleaned_up_and_reported()


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_the_schedule_of_the_database_function_finishes_an_abandoned_analysis(kill_at: int) -> None:
    incident = AnalysisIncident()
    incident.outside.kill_at_call(kill_at, after=True)
    with pytest.raises(ProcessKilled):
        incident.run_until_done(retries=False)
    for _ in range(12):
        incident.pass_time(minutes=5)
        list(resume_abandoned_comparisons(incident.ports))
        janitor.sweep(incident.ports)
    assert_exact(incident)


@pytest.mark.parametrize("call", ["create_branch", "create_endpoint", "delete_branch", "delete_endpoint"])
def test_an_analysis_creates_and_deletes_once_although_an_answer_is_lost(call: str) -> None:
    incident = AnalysisIncident()
    incident.neon.lose_next(call)
    incident.run_until_done()
    assert_exact(incident)


def test_another_rollback_gets_the_leases_during_an_analysis() -> None:
    """A bad release five minutes later must not wait for a lease."""
    incident = AnalysisIncident()
    incident.step()
    now = incident.clock.now()
    for key in (SERVICE, incident.branch_key):
        lease = incident.ledger.acquire(key, "another", now, now.replace(year=2100))
        assert lease is not None
        incident.ledger.release_lease(key, "another")
    incident.run_until_done()
    assert_exact(incident)


def test_the_analysis_makes_enough_calls_to_be_killed_at() -> None:
    assert CALLS > 10
    assert isinstance(AnalysisIncident().outside, FaultInjector)
