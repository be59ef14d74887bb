"""The fence on the local Neon with real Postgres: sessions that stay, that come back, and that are never let in."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from contract.local_cloud.workload import eventually
from contract.neon_projects import LocalProject
from fakes.aws.ecs_services import FakeServices
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from simulations.fake_ports import make_ports
from support.builders import SERVICE, definition, rollback

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.reconciler import restore
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, RestorePoint


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local = LocalProject(local_neon, Limits())
    yield local
    local.close()


class Restored:
    """A restore of the project's root to where it was before row 2."""

    def __init__(self, project: LocalProject, **target: object) -> None:
        root = project.databases.branch_named("main")
        assert root is not None
        self.project, self.id = project, root.id
        project.write(root.id, 1)
        _, self.at = project.position(root.id)
        project.write(root.id, 2)
        self.clock, ledger = FakeClock(project.now()), FakeLedger()
        self.services = FakeServices(self.clock)
        self.services.run(self.services.register_release(definition("v1"), "family"))
        until = self.clock.now().replace(year=self.clock.now().year + 1)
        lease = ledger.acquire(SERVICE, rollback().id, self.clock.now(), until)
        assert lease is not None
        self.ports = make_ports(clock=self.clock, ledger=ledger, services=self.services)
        fields = {"branch_id": root.id, "database": "app", "role": "app_owner", "window_margin_minutes": 0, **target}
        branch_settings = BranchSettings.model_validate({"writers": self.ports.settings.services, **fields})
        self.context = BranchContext(branch_settings, project.databases, project.sql)
        self.document = rollback(lease_counter=lease.counter)

    def run_until_ended(self) -> DatabaseProgress:
        for _ in range(200):
            self.document = restore(self.document, RestorePoint(at=self.at), self.context, self.ports)
            progress = self.document.database
            assert progress is not None
            if progress.ended_at is not None:
                return progress
            if self.document.wait_seconds:
                self.clock.pass_time(seconds=self.document.wait_seconds)
                self.services.tick()
                self.project.settle()
        raise AssertionError(f"no end: {self.document.database}")

    def restarts(self) -> int:
        actions = [operation.action for operation in self.project.databases.operations_since(self.at)]
        return actions.count("suspend_compute")


@contextmanager
def pooled(uri: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A server connection that a pooler keeps open though its client has gone."""
    session = psycopg.connect(uri, application_name="pgbouncer", autocommit=True)
    session.execute("SELECT 1")
    yield session
    with suppress(psycopg.Error):
        session.close()


@contextmanager
def coming_back(uri: str) -> Iterator[None]:
    """A program that connects again whenever it was disconnected."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            with suppress(psycopg.Error), psycopg.connect(uri, application_name="nightly", autocommit=True) as session:
                while not over.is_set():
                    session.execute("SELECT 1")
                    time.sleep(0.02)
            time.sleep(0.02)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_restart_of_the_compute_ends_a_session_that_a_pooler_keeps(project: LocalProject) -> None:
    restored = Restored(project)
    with pooled(project.uri(restored.id)) as session:
        progress = restored.run_until_ended()
        assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
        assert progress.fence.restarted_at is not None
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert project.rows(restored.id) == [1]


def test_a_client_that_reconnects_is_named_and_the_branch_is_not_restored(project: LocalProject) -> None:
    restored = Restored(project, reconnect_grace_seconds=0)
    with coming_back(project.uri(restored.id)):
        assert eventually(lambda: project.sql.client_sessions(restored.context.address(restored.id)) != ())
        progress = restored.run_until_ended()
    assert progress.database_outcome is DatabaseOutcome.REFUSED
    assert "connected again: nightly as app_owner from" in (progress.why_not or "")
    assert "in database app, since" in (progress.why_not or "")
    assert project.rows(restored.id) == [1, 2]


def test_a_branch_without_sessions_is_restored_without_a_restart_of_its_compute(project: LocalProject) -> None:
    restored = Restored(project)
    progress = restored.run_until_ended()
    assert (progress.database_outcome, progress.fence.restarted_at) == (DatabaseOutcome.RESTORED, None)


def test_a_session_in_another_database_of_the_branch_refuses_the_restore(project: LocalProject) -> None:
    """All databases of a branch are overwritten together."""
    restored = Restored(project, reconnect_grace_seconds=0)
    assert eventually(lambda: project.sql.client_sessions(restored.context.address(restored.id)) == ())
    with project._project.root.storage().cluster.connect() as admin:
        admin.execute("CREATE DATABASE reports OWNER app_owner TEMPLATE app")
    with coming_back("/reports".join(project.uri(restored.id).rsplit("/app", 1))):
        assert eventually(lambda: project.sql.client_sessions(restored.context.address(restored.id)) != ())
        progress = restored.run_until_ended()
    assert progress.database_outcome is DatabaseOutcome.REFUSED
    assert "in database reports" in (progress.why_not or "")


@pytest.mark.parametrize(("part", "value"), [("role", "app_owner"), ("database", "app")])
def test_a_role_that_postgres_refuses_fails_the_check_before_a_service_is_stopped(
    project: LocalProject, part: str, value: str
) -> None:
    """The role may no longer log in: Neon gives its connection URI all the same."""
    restored = Restored(project)
    with project._project.root.storage().cluster.connect() as admin:
        if part == "role":
            admin.execute(f"ALTER ROLE {value} NOLOGIN".encode())
        else:
            admin.execute(f"REVOKE CONNECT ON DATABASE {value} FROM public, app_owner".encode())
            admin.execute(f"ALTER DATABASE {value} OWNER TO cloud_admin".encode())
    progress = restored.run_until_ended()
    assert progress.database_outcome is DatabaseOutcome.REFUSED
    assert "database-answers: no session with the database" in (progress.why_not or "")
    assert "may be starting" not in (progress.why_not or "")
    assert restored.services.desired_count == 2
    assert restored.document.obligations == ()
