"""Crashes and lost answers of a restore behind a pooler, whose sessions end by a restart of the compute."""

import pytest
from faults.scenarios.branch import RecreateScenario
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, WORKER, ResetScenario, RestoreScenario
from support.builders import SERVICE

from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.rollback import Outcome
from rollback.resources.database.postgres import ClientSession

POOLED = ClientSession(pid=8, role="owner", application="pgbouncer", address="127.0.0.1", database="app", state="idle")


def behind_a_pooler(kind: type[RestoreScenario], outside: FaultInjector | None = None) -> RestoreScenario:
    scenario = kind(outside)
    scenario.sql.sessions[scenario.branch_id] = [POOLED]
    return scenario


def count_calls_without_crash() -> int:
    restore = behind_a_pooler(RestoreScenario)
    restore.run_until_ended()
    return restore.outside.calls


CALLS = count_calls_without_crash()


def assert_restored_once(restore: RestoreScenario, *, restarts: int = 1) -> None:
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED, restore.progress.why_not
    assert restore.neon.rows(restore.branch_id) == GOOD
    assert restore.neon.calls.count("restore") == 1
    assert 1 <= restore.neon.calls.count("restart_endpoint") <= restarts
    assert restore.branch.protected
    assert restore.backup is not None
    assert restore.neon.rows(restore.backup.id) == GOOD + BAD
    restore.unfence(Outcome.SUCCEEDED)
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_a_restore_killed_at_any_call_restarts_the_compute_and_restores_once(kill_at: int, after: bool) -> None:
    restore = behind_a_pooler(RestoreScenario, FaultInjector(kill_at, after=after))
    restore.run_until_ended()
    assert_restored_once(restore)


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1, 3))
def test_a_restore_killed_at_any_call_after_its_restart_lost_its_answer_restores_once(kill_at: int) -> None:
    restore = behind_a_pooler(RestoreScenario, FaultInjector(kill_at))
    restore.neon.lose_next("restart_endpoint")
    restore.run_until_ended()
    assert_restored_once(restore)


@pytest.mark.parametrize("kind", [ResetScenario, RecreateScenario])
def test_each_strategy_with_a_fence_ends_the_poolers_sessions(kind: type[RestoreScenario]) -> None:
    scenario = behind_a_pooler(kind)
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.RESTORED, scenario.progress.why_not
    assert scenario.neon.calls.count("restart_endpoint") == 1
