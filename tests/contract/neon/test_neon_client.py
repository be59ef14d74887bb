"""Neon's client alone: the key, retries and pages, and the behaviour that only a real server shows."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from contract.neon_projects import LocalProject

from local_cloud.neon.faults import Fault
from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.adapters.neon import client as neon
from rollback.adapters.neon.client import NeonDatabases
from rollback.adapters.neon.http import NeonHttp
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import (
    AccessRefused,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    RetryLater,
    Unreachable,
)
from rollback.resources.database.neon import Branch


def main(project: LocalProject) -> Branch:
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch


def client(project: LocalProject, neon: LocalNeon, key: str, pauses: list[float] | None = None) -> NeonDatabases:
    paused = [] if pauses is None else pauses
    return NeonDatabases(NeonHttp(lambda: key, neon.base_url, sleep=paused.append), project.id)


def test_the_client_retries_a_read_when_neon_is_busy_or_fails(project: LocalProject, local_neon: LocalNeon) -> None:
    pauses: list[float] = []
    databases = client(project, local_neon, local_neon.api_key, pauses)
    local_neon.faults.inject(Fault("GET", "^$", status=503, retry_after_seconds=1))
    local_neon.faults.inject(Fault("GET", "^$", status=500))
    assert databases.project().id == project.id
    assert pauses[0] == 1
    assert 0 < pauses[1] < 1
    local_neon.faults.inject(Fault("GET", "^$", status=None, times=2))
    assert databases.project().id == project.id


def test_a_read_fails_after_three_attempts_or_when_the_requested_wait_is_long(
    project: LocalProject, local_neon: LocalNeon
) -> None:
    pauses: list[float] = []
    databases = client(project, local_neon, local_neon.api_key, pauses)
    local_neon.faults.inject(Fault("GET", "^$", status=500, times=3))
    with pytest.raises(ExternalServiceError, match="500: injected fault"):
        databases.project()
    assert len(pauses) == 2
    local_neon.faults.inject(Fault("GET", "^$", status=429, retry_after_seconds=30))
    with pytest.raises(RetryLater) as error:
        databases.project()
    assert error.value.retry_after_seconds == 30
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [None, 408, 500, 502, 524])
def test_the_client_does_not_repeat_a_change_whose_answer_was_lost(
    project: LocalProject, local_neon: LocalNeon, status: int | None
) -> None:
    local_neon.faults.inject(Fault("POST", "^/branches$", status=status, is_applied_first=True))
    with pytest.raises(OutcomeUnknown, match=r"check .* before sending it again"):
        project.databases.create_branch("a", main(project).id)
    assert project.databases.branch_named("a") is not None
    assert len(project.databases.operations_since(datetime(2026, 1, 1, tzinfo=UTC))) == 1
    project.settle()


def test_the_client_does_not_repeat_a_change_that_neon_throttled(project: LocalProject, local_neon: LocalNeon) -> None:
    local_neon.faults.inject(Fault("PATCH", ".", status=503))
    with pytest.raises(RetryLater):
        project.databases.update_branch(main(project).id, protected=True)
    assert not main(project).protected


def test_a_failure_to_connect_is_reported_as_nothing_sent(project: LocalProject) -> None:
    databases = NeonDatabases(NeonHttp(lambda: "key", "http://127.0.0.1:1", sleep=lambda _: None), project.id)
    with pytest.raises(Unreachable):
        databases.project()
    with pytest.raises(Unreachable):
        databases.create_branch("a", "br-1")


def test_the_error_about_an_unknown_key_hides_the_key(project: LocalProject, local_neon: LocalNeon) -> None:
    with pytest.raises(AccessRefused) as error:
        client(project, local_neon, "stolen-key").project()
    assert "stolen-key" not in str(error.value)


@pytest.mark.parametrize("key", ["two\nlines-key", "schlüssel-key", "two words-key"])
def test_the_error_about_a_secret_without_a_key_hides_the_secret(
    project: LocalProject, local_neon: LocalNeon, key: str
) -> None:
    with pytest.raises(AccessRefused, match="one line") as error:
        client(project, local_neon, key).project()
    assert "-key" not in str(error.value)


def test_the_client_strips_white_space_around_the_key(project: LocalProject, local_neon: LocalNeon) -> None:
    assert client(project, local_neon, f" {local_neon.api_key}\n").project().id == project.id


def test_the_client_reads_the_key_for_each_request(project: LocalProject, local_neon: LocalNeon) -> None:
    keys = iter(["old", local_neon.api_key])
    databases = NeonDatabases(NeonHttp(lambda: next(keys), local_neon.base_url), project.id)
    with pytest.raises(AccessRefused):
        databases.project()
    assert databases.project().id == project.id


def test_a_missing_project_is_an_error_that_says_so(local_neon: LocalNeon) -> None:
    with pytest.raises(NotFound, match="project not found"):
        NeonDatabases(NeonHttp(lambda: local_neon.api_key, local_neon.base_url), "none").project()


def test_the_client_reads_all_pages(project: LocalProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neon, "_PAGE", 2)
    started_at = project.now()
    for name in ("a", "b", "c", "d"):
        project.databases.create_branch(name, main(project).id)
        project.settle()
    assert {branch.name for branch in project.databases.branches()} == {"main", "a", "b", "c", "d"}
    assert project.databases.branch_named("a") is not None
    assert len(project.databases.operations_since(started_at)) == 4


def test_a_connection_is_dropped_by_a_restore_and_comes_back_on_the_same_address(project: LocalProject) -> None:
    root = main(project)
    address = project.uri(root.id)
    with psycopg.connect(address, autocommit=True) as session:
        lsn, _ = project.position(root.id)
        project.databases.restore(root.id, root.id, lsn, "backup")
        project.settle()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with psycopg.connect(address) as session:
        assert session.execute("SELECT count(*) FROM written").fetchone() == (0,)


def test_a_branch_refuses_connections_while_it_is_created_or_restored(project: LocalProject) -> None:
    with project.hold_operations():
        change = project.databases.create_branch("a", main(project).id, with_endpoint=True)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://app_owner:x@{change.endpoints[0].host}/app")
    project.settle()


def test_a_connection_with_a_wrong_password_is_refused(project: LocalProject) -> None:
    address = project.uri(main(project).id)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address.replace("@", "x@", 1))


def test_a_suspended_compute_wakes_at_the_first_connection(project: LocalProject) -> None:
    root = main(project)
    project.write(root.id, 1)
    project.compute(root.id).suspend()
    assert project.rows(root.id) == [1]


def test_a_restore_beyond_the_history_retention_is_refused(local_neon: LocalNeon) -> None:
    project = LocalProject(local_neon, Limits(history_retention_seconds=0))
    root = main(project)
    project.write(root.id, 1)
    old, at = project.position(root.id)
    project.write(root.id, 2)
    newest, _ = project.position(root.id)
    for position in (old, at):
        with pytest.raises(RequestRefused):
            project.databases.restore(root.id, root.id, position, "backup")
    project.databases.restore(root.id, root.id, newest, "backup")
    project.settle()
    assert project.rows(root.id) == [1, 2]
    project.close()


def test_a_long_history_is_recovered_to_the_commit(project: LocalProject) -> None:
    root = main(project)
    project.run(root.id, "INSERT INTO written SELECT generate_series(1, 50000)")  # several files of the WAL
    lsn, at = project.position(root.id)
    project.run(root.id, "DROP TABLE written")
    project.databases.create_branch("by-time", root.id, at)
    project.settle()
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    assert len(project.rows(root.id)) == 50_000
    by_time = project.databases.branch_named("by-time")
    assert by_time is not None
    assert len(project.rows(by_time.id)) == 50_000


def test_a_branch_that_has_expired_is_deleted(project: LocalProject) -> None:
    until = project.now() + timedelta(seconds=2)
    change = project.databases.create_branch("a", main(project).id, expires_at=until)
    project.settle()
    time.sleep(max(0.0, (until - project.now()).total_seconds()))
    assert project.databases.branch(change.branch.id) is None
    project.settle()
