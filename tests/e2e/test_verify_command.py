"""`rollback verify` as a pipeline types it, against a running cloud: exit codes, and the rollback that it starts."""

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from subprocess import CompletedProcess

import pytest
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, run

from rollback.check import Check
from rollback.domain.health_check import build_input
from rollback.domain.releases.release import Release
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome

pytestmark = pytest.mark.e2e

Rollback = Callable[[str], CompletedProcess[str]]
BROKEN = {"kind": "errors", "rate": 1.0}


@pytest.fixture
def rollback(cloud: dict[str, str]) -> Rollback:
    """Function that runs `rollback` with the given words."""
    return lambda words: run([ROLLBACK, *shlex.split(words)], cloud)


def test_a_healthy_release_passes_and_nothing_is_changed(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    original_state = deployed.state_summary()

    process = rollback("verify production --rounds 2")

    assert process.returncode == 0, process.stdout
    assert f"\tecs-steady-state\tpass\t{good.version} runs on 2 tasks\t" in process.stdout
    assert "round 2: no check failed" in process.stdout
    assert deployed.state_summary() == original_state
    assert deployed.history() == []


def test_a_failed_health_check_rolls_the_deployment_back_and_another_start_about_it_is_a_duplicate(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    digest = deployed.push("v9.0.0-broken", BROKEN)
    deployed.ship("v9.0.0-broken", desired_count=2)
    wait_for(lambda: deployed.is_settled() and deployed.running_digests() == {digest})
    (primary,) = deployed.describe_service()["deployments"]

    process = rollback("verify production --wait --wait-minutes 3 --timeout-minutes 0 --rollback-on-failure")

    assert process.returncode == 1, process.stdout
    assert "expected 200 (probe 1 of 3)" in " ".join(process.stdout.split())
    (only,) = deployed.history()
    assert (only.outcome, only.trigger) == (Outcome.SUCCEEDED, Trigger.HEALTH_CHECK), only.reason
    assert only.request.reason.startswith("failed health checks: endpoint-answers")
    assert only.request.requested_by
    assert only.execution.partition(":health-check-")[1], only.execution

    given = build_input(
        deployed.service.name, primary["id"], datetime.now(UTC), (Check.failed("a", "b"),), "a job that runs again"
    )
    deployed.wait_until_ended(deployed.start(given))
    (again, _) = deployed.history()
    assert again.outcome is Outcome.SUPPRESSED
    assert "duplicate" in again.reason


def test_an_unknown_field_in_a_start_by_a_health_check_fails_before_a_record_is_made(
    deployed: DeployedEnvironment, good: Release
) -> None:
    original_history = deployed.history()
    execution = deployed.start({"trigger": "health_check", "force": True})
    answer = deployed.wait_until_ended(execution)
    assert answer["status"] == "FAILED"
    assert deployed.history() == original_history
