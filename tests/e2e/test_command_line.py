"""Installed command against a running cloud, as an operator types it."""

import re
import shlex
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from e2e.live import DeployedEnvironment
from e2e.processes import ROLLBACK, Process, run

from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome

pytestmark = pytest.mark.e2e

Rollback = Callable[[str], CompletedProcess[str]]


@pytest.fixture
def rollback(cloud: dict[str, str]) -> Rollback:
    """Function that runs `rollback` with the given words."""
    return lambda words: run([ROLLBACK, *shlex.split(words)], cloud)


def test_status_shows_the_running_release_and_whether_a_rollback_is_available(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    process = rollback("status production")

    assert process.returncode == 0, process.stdout
    assert re.search(rf"\truns\tinfo\t{good.version} \(promoted\)", process.stdout)
    assert re.search(r"\ttasks\tinfo\t2 of 2, rollout COMPLETED", process.stdout)
    assert "is the only promoted release" in process.stdout
    assert re.search(r"\trollback\tinfo\tnone in progress", process.stdout)


def test_a_typo_is_refused_before_an_execution_is_started(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    original_history = deployed.history()

    process = rollback("start production --type servcie")

    assert process.returncode == 2
    assert "did you mean 'service'?" in process.stdout
    assert deployed.history() == original_history


def test_an_environment_without_a_stack_is_refused_with_the_command_that_deploys_it(rollback: Rollback) -> None:
    process = rollback("status staging")

    assert process.returncode == 2
    assert "cdk deploy MacroAiStagingRollbackStack" in process.stdout


def test_a_dry_run_prints_the_plan_and_changes_nothing_and_a_start_executes_it(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    bad = deployed.release()
    original_state = deployed.state_summary()

    planned = rollback("start production --dry-run --reason 'only looking'")

    assert planned.returncode == 0, planned.stdout
    assert f"planned: dry run: {bad.version} → {good.version}" in " ".join(planned.stdout.split())
    words = " ".join(planned.stdout.split())
    assert "Changes of this plan" in words
    assert f"~ {deployed.service.name}: task definition:" in words
    for release in (bad, good):
        [image] = release.images.values()
        assert image.rpartition("@")[2] in "".join(planned.stdout.split())
    assert "not looked at: " not in words.partition("Changes of this plan")[2].partition("Checks:")[0]
    assert "pass target-is-identified:" in words
    assert deployed.state_summary() == original_state

    _assert_succeeded(rollback("start production --reason 'it is bad'"), bad, deployed)
    assert deployed.history()[0].execution.startswith("arn:aws:states:")


def test_a_direct_rollback_runs_without_step_functions_and_is_in_the_ledger(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    bad = deployed.release()

    _assert_succeeded(rollback("start production --direct --reason 'it is bad'"), bad, deployed)

    newest = deployed.history()[0]
    assert newest.execution.startswith("direct:")
    shown = rollback("versions production").stdout
    assert f"\t{good.version}\tpromoted\tyes\tno\tavailable\t" in shown
    assert f"\t{bad.version}\tquarantined\tno\tno\tavailable\t" in shown
    listed = rollback("history production --limit 1")
    assert (listed.returncode, newest.id in listed.stdout) == (0, True), listed.stdout
    report = rollback(f"show production {newest.id}")
    assert report.returncode == 0, report.stdout
    assert f"Rollback {newest.id}: succeeded" in report.stdout


def test_an_unknown_rollback_is_refused_in_two_lines(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    process = rollback("show production express-api-20200101T000000Z-00000000")

    assert process.returncode == 2
    assert process.stdout.splitlines() == [
        "error: there is no rollback express-api-20200101T000000Z-00000000",
        "next: `rollback history production` lists the rollbacks",
    ]


def test_a_rollback_that_is_only_started_is_watched_by_its_id(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    bad = deployed.release()

    started = rollback("production service --no-wait --reason 'it is bad'")

    assert started.returncode == 0, started.stdout
    words = started.stdout.rpartition("to watch it: rollback ")[2]
    watched = rollback(words)
    _assert_succeeded(watched, bad, deployed)
    assert re.search(r"^ *≤?\d+ s  act +\S", watched.stdout, re.MULTILINE), watched.stdout
    assert re.search(r"^phases: .*act \d+ s, verify \d+ s$", watched.stdout, re.MULTILINE), watched.stdout


def test_ctrl_c_stops_the_command_and_not_the_rollback(
    deployed: DeployedEnvironment, good: Release, cloud: dict[str, str], rollback: Rollback
) -> None:
    bad = deployed.release()

    with Process([ROLLBACK, "start", "production", "--reason", "it is bad"], cloud) as process:
        process.line_with("started, trigger: manual")
        code = process.interrupt()

    assert code == 130, process.lines
    assert "goes on" in process.lines[-2]
    _assert_succeeded(rollback(process.lines[-1].partition("next: rollback ")[2]), bad, deployed)


def test_a_rollback_that_is_refused_exits_with_3(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    process = rollback(f"production service --target-version {good.version} --reason 'it runs already'")

    assert process.returncode == 3, process.stdout
    assert deployed.history()[0].outcome is Outcome.REFUSED


def test_an_unknown_version_and_an_unknown_service_start_nothing(
    deployed: DeployedEnvironment, good: Release, rollback: Rollback
) -> None:
    original_history = deployed.history()

    version = rollback(f"production service --target-version {good.version}0")
    service = rollback("production service --service exprss-api")

    assert (version.returncode, service.returncode) == (2, 2), version.stdout + service.stdout
    assert f"did you mean '{good.version}'" in version.stdout
    assert "did you mean 'express-api'?" in service.stdout
    assert deployed.history() == original_history


def _assert_succeeded(process: CompletedProcess[str], bad: Release, deployed: DeployedEnvironment) -> None:
    assert process.returncode == 0, process.stdout
    newest = deployed.history()[0]
    assert f"Rollback {newest.id}: succeeded" in process.stdout
    assert f"Plan: from {bad.version} to " in process.stdout
    assert newest.request.reason == "it is bad"
