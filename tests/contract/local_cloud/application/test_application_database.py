"""The stand-in application with a database, and its one-off commands, as processes on real Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from contract.local_cloud.application.running_application import Running
from contract.neon_projects import LocalProject

from local_cloud.app import command as application_command
from local_cloud.neon.server import ROLE

PACKAGES = ["--packages", str(Path(psycopg.__file__).parents[1])]
READS = "SELECT row FROM written ORDER BY row LIMIT 5"


class WithDatabase(Running):
    """Start the application as a task does."""

    def __init__(self, uri: str | None, **behaviour: Any) -> None:
        variables = {} if uri is None else {"DATABASE_URL": uri}
        self.start([*PACKAGES, "--behaviour", json.dumps(behaviour)], variables)


@pytest.fixture
def serving(project: LocalProject, root: str) -> Iterator[WithDatabase]:
    writes = "INSERT INTO written SELECT coalesce(max(row), 0) + 1 FROM written"
    running = WithDatabase(project.uri(root), reads=READS, writes=writes, write_share=0.5)
    yield running
    running.end()


def test_each_request_reads_and_a_share_of_requests_writes(
    serving: WithDatabase, project: LocalProject, root: str
) -> None:
    assert [serving.get("/api/status")[0] for _ in range(6)] == [200] * 6
    assert project.rows(root) == [1, 2, 3]


def test_a_wrong_schema_is_a_real_http_500_that_the_log_names(
    serving: WithDatabase, project: LocalProject, root: str
) -> None:
    project.run(root, "ALTER TABLE written RENAME TO moved")
    assert serving.get("/api/status")[0] == 500
    assert "ERROR GET /api/status answered 500" in (line := serving.next_line())
    assert 'UndefinedTable: relation "written" does not exist' in line


def test_a_health_check_does_not_use_the_database(serving: WithDatabase, project: LocalProject, root: str) -> None:
    project.run(root, "DROP TABLE written")
    assert [serving.get(path)[0] for path in ("/health", "/api/ping")] == [200, 500]


def test_the_application_replaces_a_dropped_session_without_an_error(
    serving: WithDatabase, project: LocalProject, root: str
) -> None:
    assert serving.get("/api/status")[0] == 200
    (endpoint,) = project.databases.endpoints(root)
    project.databases.restart_endpoint(endpoint.id)
    project.settle()
    assert [serving.get("/api/status")[0] for _ in range(3)] == [200] * 3


def test_an_application_can_connect_through_the_pooler_which_keeps_its_sessions(
    project: LocalProject, root: str
) -> None:
    """PgBouncer keeps server connections for 600 s after the last task stopped."""
    pooled = project.databases.connection_uri(root, "app", ROLE, pooled=True).get_secret_value()
    running = WithDatabase(pooled, reads=READS, writes="INSERT INTO written VALUES (1)", write_share=0.5)
    try:
        assert [running.get("/api/status")[0] for _ in range(3)] == [200] * 3
    finally:
        running.end()
    assert project.rows(root) == [1]
    sessions = project.run(root, "SELECT application_name FROM pg_stat_activity WHERE application_name = 'pgbouncer'")
    assert sessions == [("pgbouncer",)]


def test_an_application_with_errors_still_fails_at_its_rate_with_a_database(project: LocalProject, root: str) -> None:
    running = WithDatabase(project.uri(root), kind="errors", rate=0.5, reads=READS)
    try:
        assert [running.get("/api/status")[0] for _ in range(4)] == [200, 500, 200, 500]
    finally:
        running.end()


def test_an_application_without_the_address_of_its_database_ends_at_start() -> None:
    running = WithDatabase(None, reads=READS)
    try:
        assert running.first_line == "ERROR DATABASE_URL is not set\n"
        assert running.process.wait(timeout=90) == 1
    finally:
        running.end()


def command(commands: dict[str, Any], *words: str, uri: str = "") -> tuple[int, list[str]]:
    """Run a command; return its exit code and its output."""
    program = [sys.executable, "-S", "-E", application_command.__file__, *PACKAGES]
    process = subprocess.Popen(
        [*program, "--commands", json.dumps(commands), "--", *words],
        env={"DATABASE_URL": uri, "PATH": os.defpath}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    lines = process.stdout.read().splitlines()
    code = process.wait(timeout=90)
    process.stdin.close()
    process.stdout.close()
    return code, lines


def test_a_command_runs_its_sql_in_one_transaction(project: LocalProject, root: str) -> None:
    down = {"sql": "INSERT INTO written VALUES (1); INSERT INTO written VALUES (2);", "says": "stepping down 0002_x"}
    code, lines = command({"pnpm db:down 0002_x": down}, "pnpm", "db:down", "0002_x", uri=project.uri(root))
    assert (code, lines) == (0, ["$ pnpm db:down 0002_x", "stepping down 0002_x", "committed"])
    assert project.rows(root) == [1, 2]


def test_a_command_whose_sql_fails_changes_nothing_and_exits_with_1(project: LocalProject, root: str) -> None:
    down = {"sql": "INSERT INTO written VALUES (1); ALTER TABLE nowhere ADD x int;"}
    code, lines = command({"down": down}, "sh", "-c", "down", uri=project.uri(root))
    assert (code, lines[-1].partition(":")[0]) == (1, "ERROR UndefinedTable")
    assert project.rows(root) == []


def test_a_command_exits_with_the_images_code_and_an_unknown_one_with_127() -> None:
    assert command({"verify": {"exit": 3}}, "verify")[0] == 3
    assert command({"verify": {}}, "pnpm", "verify") == (127, ["$ pnpm verify", "sh: pnpm: not found"])


def test_a_command_ends_when_its_parent_does() -> None:
    program = [sys.executable, "-S", "-E", application_command.__file__]
    process = subprocess.Popen(
        [*program, "--commands", json.dumps({"wait": {"seconds": 60}}), "wait"], stdin=subprocess.PIPE
    )
    time.sleep(0.2)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=90) == 0
