"""The stand-in application as a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.local_cloud.application.running_application import Running


@pytest.fixture
def start() -> Iterator[type[Running]]:
    started: list[Running] = []

    class Kept(Running):
        def __init__(self, shared: str | None = None, **behaviour: Any) -> None:
            super().__init__(shared, **behaviour)
            started.append(self)

    yield Kept
    for running in started:
        running.end()


def test_a_healthy_application_returns_its_version_on_every_path(start: type[Running]) -> None:
    running = start(kind="healthy")
    for path in ("/health", "/api/status", "/api/ping", "/anything?at=all"):
        status, body = running.get(path)
        assert (status, body["version"]) == (200, "v1")


def test_an_application_with_errors_fails_at_its_rate_and_passes_health_checks(start: type[Running]) -> None:
    running = start(kind="errors", rate=0.25)
    statuses = [running.get("/api/ping")[0] for _ in range(20)]
    assert (statuses.count(500), statuses.count(200)) == (5, 15)
    assert [running.get(path)[0] for path in ("/health", "/up") for _ in range(4)] == [200] * 8


def test_the_application_logs_a_line_for_every_error(start: type[Running]) -> None:
    running = start(kind="errors", rate=1)
    running.get("/api/ping")
    assert running.process.stdout is not None
    assert running.process.stdout.readline().startswith("ERROR GET /api/ping answered 500")


def test_a_slow_application_delays_its_answers_but_not_its_health(start: type[Running]) -> None:
    running = start(kind="slow", seconds=2.0)
    started = time.monotonic()
    running.get("/health")
    healthy_after = time.monotonic() - started
    running.get("/api/status")
    assert healthy_after < 2.0 <= time.monotonic() - started - healthy_after


def test_an_unhealthy_application_fails_its_health_check(start: type[Running]) -> None:
    running = start(kind="unhealthy")
    assert [running.get(path)[0] for path in ("/health", "/up", "/api/ping")] == [500, 500, 200]


def test_a_decaying_application_is_healthy_for_a_while_and_then_fails_every_request(start: type[Running]) -> None:
    running = start(kind="decays", after_seconds=1.0)
    paths = ("/health", "/up", "/api/ping")
    assert [running.get(path)[0] for path in paths] == [200, 200, 200]
    deadline = time.monotonic() + 90
    while running.get("/api/ping")[0] == 200:
        assert time.monotonic() < deadline
    assert [running.get(path)[0] for path in paths] == [500, 500, 500]


def test_a_lock_fails_every_task_of_the_service_until_it_is_removed(start: type[Running], tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    healthy = start(kind="healthy", shared=str(shared))
    assert healthy.get("/health")[0] == 200
    assert start(kind="locks", after_seconds=0, shared=str(shared)).get("/health")[0] == 500
    assert healthy.get("/health")[0] == 500
    shared.unlink()
    assert healthy.get("/health")[0] == 200


def test_a_crashing_application_exits_with_an_error(start: type[Running]) -> None:
    running = start(kind="crash", after_seconds=0.01)
    assert running.first_line.startswith("ERROR")
    assert running.process.wait(timeout=90) == 1


def test_the_application_ends_when_its_parent_does(start: type[Running]) -> None:
    running = start(kind="healthy")
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(timeout=90) == 0
