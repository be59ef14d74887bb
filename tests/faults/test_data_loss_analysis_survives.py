"""The account of lost writes is killed after every call: it is told once, and leaves neither branch nor compute.

The rollback is concluded by then. Whatever happens, its outcome stays, no lease is held, and no service waits.
"""

import pytest
from builders import SERVICE
from fakes import execution_arn
from stage_with_database import BAD, BRANCH, GOOD

from faults.crash import FaultInjector, ProcessKilled
from faults.full_scenario import SCALED, V1, FullIncident
from faults.scenario import EVENT
from rollback.domain.database.data_loss_analysis import COMPARISON_BRANCH_PREFIX
from rollback.domain.rollback import Outcome, Rollback
from rollback.workflow import abandoned_comparisons, janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import Step
from rollback.workflow.runner import Cursor, cursor_of, run_step


class Accounting(FullIncident):
    """Both are back and concluded; the account is due."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = execution_arn("execution-1")
        self.workflow.running.add(name)
        self.cursor = cursor_of(admit(EVENT, name, self.clock.now(), self.world))
        while self.cursor.next is not Step.DATA_LOSS:
            self.step()
        self.neon.calls.clear()
        self.execution = name

    def step(self) -> None:
        self.cursor = run_step(self.cursor.rollback_id, self.cursor.next, self.world)
        self.pass_time(seconds=self.cursor.wait_seconds)

    def until_done(self, *, retries: bool = True) -> None:
        for _ in range(200):
            if self.cursor.next is Step.DONE:
                return
            due = self.cursor
            done: Cursor = self._run_with_restarts(
                lambda due=due: run_step(due.rollback_id, due.next, self.world), retries
            )
            self.cursor = done
            self.pass_time(seconds=done.wait_seconds)
        raise AssertionError(self.cursor)

    @property
    def document(self) -> Rollback:
        (only,) = self.documents()
        return only

    def assert_concluded_whatever_becomes_of_the_account(self) -> None:
        assert self.document.outcome is Outcome.SUCCEEDED
        assert self.document.concluded_at is not None
        assert (self.running_fingerprint(), self.services.desired_count) == (V1, 2)
        assert self.scaling.target == SCALED
        assert self.neon.rows(BRANCH) == GOOD
        self.assert_no_data_loss()

    def assert_tidied_and_told(self) -> None:
        self.assert_concluded_whatever_becomes_of_the_account()
        assert not self.document.is_data_loss_report_due
        assert self.document.reported
        assert [
            branch.name for branch in self.neon.branches() if branch.name.startswith(COMPARISON_BRANCH_PREFIX)
        ] == []
        (backup,) = self.backups()
        assert self.neon.endpoints(backup.id) == (), "a compute with production's passwords"
        assert "Lost writes:" in self.notifications.sent[-1].message
        assert self.notifications.sent[-1].attributes["report_id"].endswith(":lost-writes")


def count_calls_without_crash() -> int:
    incident = Accounting()
    incident.outside.kill_at_call(None, after=True)
    incident.until_done()
    return incident.outside.calls


CALLS = count_calls_without_crash()


def assert_exact(incident: Accounting) -> None:
    incident.assert_tidied_and_told()
    database = incident.document.database
    assert database is not None
    assert database.lost is not None
    assert [table.removed_rows for table in database.lost.tables] == [len(BAD)]
    assert database.lost.is_complete


def test_nobody_waits_for_the_account() -> None:
    incident = Accounting()
    incident.assert_concluded_whatever_becomes_of_the_account()
    assert incident.ledger.lease(SERVICE) is None
    assert incident.ledger.lease(incident.branch_key) is None
    assert "another report follows" in incident.notifications.sent[-1].message


def test_undisturbed_it_makes_and_deletes_one_branch_and_one_compute() -> None:
    incident = Accounting()
    incident.until_done()
    assert_exact(incident)
    assert incident.neon.calls == ["create_branch", "create_endpoint", "delete_branch", "delete_endpoint"]


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_and_retried_it_is_exact(kill_at: int) -> None:
    incident = Accounting()
    incident.outside.kill_at_call(kill_at, after=True)
    incident.until_done()
    assert_exact(incident)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_and_never_retried_the_janitor_tidies_up_and_tells(kill_at: int) -> None:
    incident = Accounting()
    incident.outside.kill_at_call(kill_at, after=True)
    with pytest.raises(ProcessKilled):
        incident.until_done(retries=False)
    incident.workflow.running.discard(incident.execution)
    for _ in range(12):
        incident.pass_time(minutes=5)
        janitor.sweep(incident.world)
    incident.assert_tidied_and_told()


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_what_nobody_goes_on_with_is_made_by_the_schedule_of_the_database_function(kill_at: int) -> None:
    incident = Accounting()
    incident.outside.kill_at_call(kill_at, after=True)
    with pytest.raises(ProcessKilled):
        incident.until_done(retries=False)
    for _ in range(12):
        incident.pass_time(minutes=5)
        list(abandoned_comparisons.resume_abandoned_comparisons(incident.world))
        janitor.sweep(incident.world)
    assert_exact(incident)


@pytest.mark.parametrize("call", ["create_branch", "create_endpoint", "delete_branch", "delete_endpoint"])
def test_though_an_answer_is_lost_each_thing_is_made_and_deleted_once(call: str) -> None:
    incident = Accounting()
    incident.neon.lose_next(call)
    incident.until_done()
    assert_exact(incident)


def test_another_rollback_begins_while_the_account_is_made() -> None:
    """Its lease is to be had at once: a bad release five minutes later must not wait."""
    incident = Accounting()
    incident.step()
    now = incident.clock.now()
    for key in (SERVICE, incident.branch_key):
        lease = incident.ledger.acquire(key, "another", now, now.replace(year=2100))
        assert lease is not None
        incident.ledger.release_lease(key, "another")
    incident.until_done()
    assert_exact(incident)


def test_undisturbed_outside_counts_calls() -> None:
    assert CALLS > 10
    assert isinstance(Accounting().outside, FaultInjector)
