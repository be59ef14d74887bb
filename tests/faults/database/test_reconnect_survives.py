"""Crashes of Reconnect after every external call; it is resumed or left to the janitor.

In every case a reader gets new tasks once, a command runs once, and the restored data stays.
"""

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.reconnect import PING, RESET, ReconnectScenario
from simulations.database import GOOD
from simulations.two_writers import WORKER
from simulations.writers_and_reader import REPORTS, find_connection, find_connection_check

from rollback.check import Verdict
from rollback.domain.rollback import Outcome
from rollback.reports.report import message

METHODS = {"new tasks": False, "a command": True}


def count_calls_without_crash(*, by_command: bool) -> int:
    scenario = ReconnectScenario(by_command=by_command)
    scenario.run_to_conclusion()
    return scenario.outside.calls


MOMENTS = [
    (by_command, kill_at)
    for by_command in METHODS.values()
    for kill_at in range(1, count_calls_without_crash(by_command=by_command) + 1)
]


def assert_reconnected_once(scenario: ReconnectScenario, *, by_command: bool) -> None:
    document = scenario.document
    assert document.outcome is Outcome.SUCCEEDED, document.reason
    assert scenario.deployments() == (0 if by_command else 1)
    assert scenario.tasks_run() == [PING, PING, *([RESET] if by_command else [])]
    assert scenario.simulation.worker.desired_count == 2
    for name in (WORKER, REPORTS):
        assert find_connection_check(document, name).verdict is Verdict.PASS
    assert scenario.simulation.rows() == GOOD
    assert not any(scenario.leases().values())
    assert document.open_obligations() == ()
    if not by_command:
        caused = scenario.simulation.ledger.caused_deployment(REPORTS)
        assert caused is not None
        assert caused.deployment_id == find_connection(document, REPORTS).deployment_id


@pytest.mark.parametrize(("by_command", "kill_at"), MOMENTS)
def test_a_reconnection_killed_after_any_call_and_retried_reconnects_each_service_once(
    by_command: bool, kill_at: int
) -> None:
    scenario = ReconnectScenario(FaultInjector(kill_at, after=True), by_command=by_command)
    scenario.run_to_conclusion()
    assert_reconnected_once(scenario, by_command=by_command)


@pytest.mark.parametrize(("by_command", "kill_at"), MOMENTS)
def test_the_report_of_a_reconnection_killed_after_any_call_names_services_with_old_connections(
    by_command: bool, kill_at: int
) -> None:
    scenario = ReconnectScenario(FaultInjector(kill_at, after=True), by_command=by_command)
    with pytest.raises(ProcessKilled):
        scenario.run_to_conclusion(retries=False)
    document = scenario.sweep_until_concluded()
    assert scenario.simulation.rows() == GOOD, "the restored data stays"
    assert scenario.simulation.services.desired_count == scenario.simulation.worker.desired_count == 2
    assert scenario.deployments() <= 1
    report = message(document, scenario.simulation.service_settings)
    reports = document.reconnection.of(REPORTS) if document.reconnection is not None else None
    if reports is None or reports.reconnected_at is None:
        assert "reports: NOT RECONNECTED" in report
        assert document.outcome is Outcome.FAILED
    else:
        assert "reports: NOT RECONNECTED" not in report


@pytest.mark.parametrize("by_command", METHODS.values(), ids=METHODS)
def test_a_reconnection_runs_no_task_twice_although_answers_are_lost(by_command: bool) -> None:
    scenario = ReconnectScenario(by_command=by_command)
    for _ in range(3):
        scenario.simulation.tasks.lose_next()
    scenario.run_to_conclusion()
    assert_reconnected_once(scenario, by_command=by_command)
