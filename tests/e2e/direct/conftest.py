"""A deployed environment whose services of AWS a test can take down, and a command line with a folder of its own."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from e2e.conftest import _CLOUD, POLICY
from e2e.processes import ROLLBACK, Process, run

Outage = Callable[[str], AbstractContextManager[None]]
Rollback = Callable[[str], CompletedProcess[str]]
APPROVAL = {"required_for": ["forced"]}


@pytest.fixture(scope="module")
def cloud_process() -> Iterator[Process]:
    with Process([*_CLOUD, json.dumps(POLICY), json.dumps(APPROVAL)]) as process:
        yield process


@pytest.fixture(scope="module")
def cloud(cloud_process: Process, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of the clients; the command line keeps its files in a folder of this module."""
    variables: dict[str, str] = json.loads(cloud_process.line_with('"AWS_ENDPOINT_URL"'))
    return {**variables, "ROLLBACK_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def outage(cloud_process: Process) -> Outage:
    """Function that takes a service of AWS down for everybody, until its context ends."""

    def change(action: str, service: str) -> None:
        seen = len(cloud_process.lines)
        cloud_process.send_line(json.dumps({action: service}))
        cloud_process.line_with(f"{service} is {action}", after=seen)

    @contextmanager
    def down(service: str) -> Iterator[None]:
        change("down", service)
        try:
            yield
        finally:
            change("up", service)

    return down


@pytest.fixture
def rollback(cloud: dict[str, str]) -> Rollback:
    """Function that runs `rollback` with the given words, without a terminal."""
    return lambda words: run([ROLLBACK, *shlex.split(words)], cloud, seconds=400)


@pytest.fixture
def cache(cloud: dict[str, str]) -> Path:
    """Folder of the command line's own files."""
    return Path(cloud["ROLLBACK_CACHE_DIR"])
