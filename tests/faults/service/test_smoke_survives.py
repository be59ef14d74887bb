"""Crashes of a verification with a smoke command after every external call: the command runs once at most."""

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled, crash_points
from faults.scenarios.smoke import SMOKE, SmokeScenario

from rollback.domain.rollback import Outcome

OUTCOMES = {0: Outcome.SUCCEEDED, 3: Outcome.FAILED}


def count_calls_without_crash(exit_code: int) -> int:
    scenario = SmokeScenario(exit_code=exit_code)
    scenario.run_to_conclusion()
    return scenario.outside.calls


MOMENTS = [
    (exit_code, kill_at, after)
    for exit_code in OUTCOMES
    for kill_at, after in crash_points(count_calls_without_crash(exit_code))
]


@pytest.mark.parametrize(("exit_code", "kill_at", "after"), MOMENTS)
def test_a_verification_killed_at_any_call_and_retried_runs_the_smoke_command_once(
    exit_code: int, kill_at: int, after: bool
) -> None:
    scenario = SmokeScenario(FaultInjector(kill_at, after=after), exit_code=exit_code)
    document = scenario.run_to_conclusion()
    assert document.outcome is OUTCOMES[exit_code], document.reason
    assert scenario.tasks_run() == [SMOKE]


@pytest.mark.parametrize(("exit_code", "kill_at", "after"), MOMENTS)
def test_the_janitor_concludes_a_verification_killed_at_any_call_and_runs_no_second_smoke_command(
    exit_code: int, kill_at: int, after: bool
) -> None:
    scenario = SmokeScenario(FaultInjector(kill_at, after=after), exit_code=exit_code)
    with pytest.raises(ProcessKilled):
        scenario.run_to_conclusion(retries=False)
    document = scenario.sweep_until_concluded()
    assert document.outcome is not None
    assert len(scenario.tasks_run()) <= 1


def test_a_lost_answer_of_run_task_starts_no_second_task() -> None:
    scenario = SmokeScenario()
    for _ in range(3):
        scenario.tasks.lose_next()
    assert scenario.run_to_conclusion().outcome is Outcome.SUCCEEDED
    assert scenario.tasks_run() == [SMOKE]
