"""Reconnect is killed after every external call, and resumed, or left for the janitor.

Whatever dies: a reader gets new tasks once, a command runs once, and what was restored stays.
"""

import pytest
from stage_of_readers import REPORTS, check_of, connection_of
from stage_of_writers import WORKER
from stage_with_database import GOOD

from faults.crash import Killed, Outside
from faults.reconnect_scenario import PING, RESET, Reconnecting
from rollback.check import Verdict
from rollback.domain.rollback import Outcome
from rollback.reports.report import message

WAYS = {"new tasks": False, "a command": True}


def calls_of_an_undisturbed_run(*, by_command: bool) -> int:
    undisturbed = Reconnecting(by_command=by_command)
    undisturbed.walk_on()
    return undisturbed.outside.calls


MOMENTS = [
    (by_command, kill_at)
    for by_command in WAYS.values()
    for kill_at in range(1, calls_of_an_undisturbed_run(by_command=by_command) + 1)
]


def assert_reconnected_once(scenario: Reconnecting, *, by_command: bool) -> None:
    ended = scenario.document
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert scenario.deployments() == (0 if by_command else 1)
    assert scenario.tasks_run() == [PING, PING, *([RESET] if by_command else [])]
    assert scenario.stage.worker.desired_count == 2
    for name in (WORKER, REPORTS):
        assert check_of(ended, name).verdict is Verdict.PASS
    assert scenario.stage.rows() == GOOD
    assert not any(scenario.leases().values())
    assert ended.open_obligations() == ()
    if not by_command:
        caused = scenario.stage.ledger.caused_deployment(REPORTS)
        assert caused is not None
        assert caused.deployment_id == connection_of(ended, REPORTS).deployment_id


@pytest.mark.parametrize(("by_command", "kill_at"), MOMENTS)
def test_killed_after_any_call_and_retried_each_service_is_reconnected_exactly_once(
    by_command: bool, kill_at: int
) -> None:
    scenario = Reconnecting(Outside(kill_at, after=True), by_command=by_command)
    scenario.walk_on()
    assert_reconnected_once(scenario, by_command=by_command)


@pytest.mark.parametrize(("by_command", "kill_at"), MOMENTS)
def test_killed_after_any_call_and_never_retried_the_report_tells_who_has_old_connections(
    by_command: bool, kill_at: int
) -> None:
    scenario = Reconnecting(Outside(kill_at, after=True), by_command=by_command)
    with pytest.raises(Killed):
        scenario.walk_on(retries=False)
    ended = scenario.sweep_until_concluded()
    assert scenario.stage.rows() == GOOD, "what was restored stays"
    assert scenario.stage.services.desired_count == scenario.stage.worker.desired_count == 2
    assert scenario.deployments() <= 1
    told = message(ended, scenario.stage.world.settings.services[0])
    one = ended.reconnection.of(REPORTS) if ended.reconnection is not None else None
    if one is None or one.renewed_at is None:
        assert "reports: NOT RECONNECTED" in told
        assert ended.outcome is Outcome.FAILED
    else:
        assert "reports: NOT RECONNECTED" not in told


@pytest.mark.parametrize("by_command", WAYS.values(), ids=WAYS)
def test_though_the_answers_to_its_tasks_are_lost_none_runs_twice(by_command: bool) -> None:
    scenario = Reconnecting(by_command=by_command)
    for _ in range(3):
        scenario.stage.tasks.lose_next()
    scenario.walk_on()
    assert_reconnected_once(scenario, by_command=by_command)
