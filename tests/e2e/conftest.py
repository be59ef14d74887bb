"""A stage for each file that asks for one, in another process; and how to point boto3 at a cloud."""

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

WINDOW_MINUTES = 0.2
POLICY = {
    "bake_minutes": 600,  # nothing is promoted but by hand: what is shipped as bad stays a candidate
    "correlation_window_minutes": WINDOW_MINUTES,
    "recheck_minutes": 0.25,  # time for a test on a slow machine to turn the alarm off before
    "cooldown_minutes": 0,  # the tests follow each other closely
    "attempts_per_window": 100,
}
_CLOUD = [sys.executable, str(Path(__file__).with_name("cloud_process.py"))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share its stage, and stay in one process; each demo puts up its own, and goes wherever is room."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            alone = item.path.name == "test_demo.py"
            item.add_marker(pytest.mark.xdist_group(item.nodeid if alone else item.path.name))


@contextmanager
def cloud_process(policy: Mapping[str, Any] | None = None, *, with_database: bool = False) -> Iterator[dict[str, str]]:
    """An embedded cloud, with our stacks deployed under a policy if one is given; what a client of it needs."""
    arguments = [json.dumps(policy), *(["with-database"] if with_database else [])] if policy is not None else []
    with Process([*_CLOUD, *arguments]) as process:
        variables: dict[str, str] = json.loads(process.line_with('"AWS_ENDPOINT_URL"'))
        yield variables


@contextmanager
def pointed_at(variables: Mapping[str, str]) -> Iterator[None]:
    """boto3 in this process speaks to that cloud."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """What a client of the stage's cloud needs in its environment."""
    with cloud_process(POLICY) as variables:
        yield variables


@pytest.fixture(scope="module")
def stage(cloud: dict[str, str]) -> Iterator[DeployedEnvironment]:
    """A stage on which one release runs and is promoted; xdist keeps a file's tests in one process (`loadfile`)."""
    with pointed_at(cloud):
        live = DeployedEnvironment()
        live.promote(live.release().version)
        wait_for(lambda: set(live.alarm_states().values()) == {"OK"})
        yield live


@pytest.fixture
def good(stage: DeployedEnvironment) -> Iterator[Release]:
    """The only promoted release; it runs before a test and after it, with all rollbacks concluded and a green alarm."""
    yield _assert_good_release_runs(stage)
    stage.turn_alarm("OK")
    assert all(r.concluded_at is not None for r in stage.history())
    _assert_good_release_runs(stage)


def _assert_good_release_runs(stage: DeployedEnvironment) -> Release:
    (promoted,) = stage.promoted()
    assert stage.running_digests() == {promoted.images[stage.service.container].rpartition("@")[2]}
    return promoted
