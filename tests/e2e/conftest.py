"""Fixtures that deploy an environment in another process for a file of tests, and point boto3 at its cloud."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import Process

from rollback.domain.releases.release import Release
from rollback_cli.demo.profile import WITHOUT_APPROVALS

WINDOW_MINUTES = 0.25  # five periods of an alarm, the least that the settings allow
POLICY = {
    "bake_minutes": 600,  # only a test promotes: a release that is shipped as bad stays a candidate
    "bake_timeout_minutes": 601,
    "correlation_window_minutes": WINDOW_MINUTES,
    "recheck_minutes": 0.25,  # long enough for a slow machine to turn the alarm to OK before
    "cooldown_minutes": 0,  # the tests follow one another closely
    "attempts_per_window": 100,
}
_CLOUD = [sys.executable, str(Path(__file__).with_name("cloud_process.py"))]


@contextmanager
def cloud_process(
    policy: Mapping[str, Any] | None = None,
    *,
    approval: Mapping[str, Any] = WITHOUT_APPROVALS,
    with_database: bool = False,
) -> Iterator[dict[str, str]]:
    """Run an embedded cloud, with our stacks if a policy is given; yield the environment variables of its clients."""
    settings = [json.dumps(policy), json.dumps(approval)] if policy is not None else []
    with Process([*_CLOUD, *settings, *(["with-database"] if with_database else [])]) as process:
        variables: dict[str, str] = json.loads(process.line_with('"AWS_ENDPOINT_URL"'))
        yield variables


@contextmanager
def pointed_at(variables: Mapping[str, str]) -> Iterator[None]:
    """Point boto3 in this process at a cloud."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """Environment variables of the clients of the deployed environment's cloud."""
    with cloud_process(POLICY) as variables:
        yield variables


@pytest.fixture(scope="module")
def deployed(cloud: dict[str, str]) -> Iterator[DeployedEnvironment]:
    """Deployed environment whose one release runs and is promoted; a file's tests share it in one process."""
    with pointed_at(cloud):
        live = DeployedEnvironment()
        live.promote(live.release().version)
        wait_for(lambda: set(live.alarm_states().values()) == {"OK"})
        yield live


@pytest.fixture
def good(deployed: DeployedEnvironment) -> Iterator[Release]:
    """The only promoted release; before and after a test it runs, every rollback is concluded and the alarm is OK."""
    yield _assert_good_release_runs(deployed)
    deployed.turn_alarm("OK")
    assert all(r.concluded_at is not None for r in deployed.history())
    _assert_good_release_runs(deployed)


def _assert_good_release_runs(deployed: DeployedEnvironment) -> Release:
    (promoted,) = deployed.promoted()
    assert deployed.running_digests() == {promoted.images[deployed.service.container].rpartition("@")[2]}
    return promoted
