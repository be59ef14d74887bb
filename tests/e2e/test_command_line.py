"""The installed command against a running cloud, as a person types it."""

import re
import shlex
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from e2e.live import DeployedEnvironment
from e2e.processes import ROLLBACK, run

from rollback.domain.releases.release import Release

pytestmark = pytest.mark.e2e

Rollback = Callable[[str], CompletedProcess[str]]


@pytest.fixture
def rollback(cloud: dict[str, str]) -> Rollback:
    """Type `rollback` and some words."""
    return lambda words: run([ROLLBACK, *shlex.split(words)], cloud)


def test_status_tells_what_runs_and_whether_there_is_a_way_back(
    stage: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    said = rollback("status production")

    assert said.returncode == 0, said.stdout
    assert re.search(rf"runs +{good.version} \(promoted\)", said.stdout)
    assert re.search(r"tasks +2 of 2, rollout COMPLETED", said.stdout)
    assert "is the only promoted release" in said.stdout
    assert re.search(r"rollback +none in progress", said.stdout)


def test_a_typo_is_told_before_anything_is_started(
    stage: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    before = stage.history()

    said = rollback("start production --type servcie")

    assert said.returncode == 2
    assert "did you mean 'service'?" in said.stdout
    assert stage.history() == before


def test_an_environment_without_a_stack_is_told_with_what_to_do(rollback: Rollback) -> None:
    said = rollback("status staging")

    assert said.returncode == 2
    assert "cdk deploy MacroAiStagingRollbackStack" in said.stdout


def test_a_dry_run_prints_the_plan_and_changes_nothing_and_a_start_carries_it_out(
    stage: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    bad = stage.release()
    before = stage.state_summary()

    planned = rollback("start production --dry-run --reason 'only looking'")

    assert planned.returncode == 0, planned.stdout
    assert f"planned dry run: {bad.version} → {good.version}" in " ".join(planned.stdout.split())
    assert stage.state_summary() == before

    _is_carried_out(rollback("start production --reason 'it is bad'"), bad, stage)
    assert stage.history()[0].execution.startswith("arn:aws:states:")


def test_a_direct_rollback_needs_no_step_functions_and_is_in_the_ledger_all_the_same(
    stage: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    bad = stage.release()

    _is_carried_out(rollback("start production --direct --reason 'it is bad'"), bad, stage)

    newest = stage.history()[0]
    assert newest.execution.startswith("direct:")
    shown = rollback("versions production").stdout
    assert re.search(rf"▶ +│ {re.escape(good.version)} +│ promoted", shown)
    assert re.search(rf"{re.escape(bad.version)} +│ quarantined", shown)
    listed = rollback("history production --limit 1")
    assert (listed.returncode, newest.id in listed.stdout) == (0, True), listed.stdout
    told = rollback(f"show production {newest.id}")
    assert told.returncode == 0, told.stdout
    assert f"Rollback {newest.id}: succeeded" in told.stdout


def test_a_rollback_that_nobody_knows_is_told_in_one_line(
    stage: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    said = rollback("show production express-api-20200101T000000Z-00000000")

    assert said.returncode == 2
    assert said.stdout.splitlines() == [
        "error: there is no rollback express-api-20200101T000000Z-00000000; `rollback history production` lists them"
    ]


def _is_carried_out(said: CompletedProcess[str], bad: Release, stage: DeployedEnvironment) -> None:
    assert said.returncode == 0, said.stdout
    newest = stage.history()[0]
    assert f"Rollback {newest.id}: succeeded" in said.stdout
    assert f"From {bad.version} to " in said.stdout
    assert newest.request.reason == "it is bad"
