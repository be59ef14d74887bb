"""A Neon project for a test: the port, and the acts of an application and of Neon itself."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import psycopg
from fakes.clock import FakeClock
from fakes.neon import FakeNeon
from fakes.sql import FakeSql

from local_cloud.neon.cluster import DATABASE
from local_cloud.neon.compute import Compute
from local_cloud.neon.faults import BehaviourOverrides, Fault
from local_cloud.neon.project import Limits, ProjectSettings
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.adapters.neon.client import NeonDatabases
from rollback.adapters.neon.http import NeonHttp
from rollback.adapters.postgres.sql import PostgresSql
from rollback.ports.neon import NeonProject
from rollback.ports.postgres import Sql
from rollback.resources.database.errors import RetryLater
from rollback.resources.database.wal_position import Lsn

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
_CALLS = {
    "create_branch": ("POST", "^/branches$"),
    "restore": ("POST", "/restore$"),
    "update_branch": ("PATCH", "^/branches/"),
    "delete_branch": ("DELETE", "."),
}


class ContractProject(Protocol):
    """A project whose default branch is `main`; `write` commits, `rows` reads."""

    databases: NeonProject
    sql: Sql

    def write(self, branch_id: str, row: int) -> None: ...
    def rows(self, branch_id: str) -> list[int]: ...
    def position(self, branch_id: str) -> tuple[Lsn, datetime]:
        """Return a position, with its time, after all writes so far."""
        ...

    def connected(self, branch_id: str, application: str) -> AbstractContextManager[None]:
        """Keep a client of the application connected until the context ends."""
        ...

    def now(self) -> datetime: ...
    def settle(self) -> None: ...
    def hold_operations(self) -> AbstractContextManager[None]: ...
    def fail_next(self, action: str) -> None: ...
    def restrict(self, branch_id: str, action: str, reason: str) -> None: ...
    def lose_next(self, call: str) -> None:
        """Carry out the next `restore` or `create_`, `update_` or `delete_branch`, and answer with 524."""
        ...

    def reject_next(self, call: str, retry_after_seconds: int) -> None:
        """Reject the next such call with 429, and do nothing."""
        ...


class FakeProject:
    """Project in memory, on the fake."""

    def __init__(self, limits: Limits) -> None:
        self._clock = FakeClock(NOW)
        self._neon = FakeNeon(self._clock)
        self._neon.retention_seconds = limits.history_retention_seconds
        self._neon.root_branch_limit = limits.root_branches
        self._sql = FakeSql(self._neon)
        self.databases: NeonProject = self._neon
        self.sql: Sql = self._sql
        self.write, self.rows, self.position = self._neon.write, self._neon.rows, self._neon.position
        self.settle, self.hold_operations, self.fail_next = (
            self._neon.settle,
            self._neon.hold_operations,
            self._neon.fail_next,
        )
        self.now, self.restrict, self.lose_next = self._clock.now, self._neon.restrict, self._neon.lose_next

    def connected(self, branch_id: str, application: str) -> AbstractContextManager[None]:
        return self._sql.connected(branch_id, ROLE, application)

    def reject_next(self, call: str, retry_after_seconds: int) -> None:
        self._neon.refuse_next(call, RetryLater(f"{call}: 429", retry_after_seconds))


class LocalProject:
    """Project on Postgres, through the client."""

    def __init__(self, neon: LocalNeon, limits: Limits, *, logical_replication: bool = False) -> None:
        self._neon = neon
        self._project = neon.create_project(limits=limits, logical_replication=logical_replication)
        self.id = self._project.id
        self.http = NeonHttp(lambda: neon.api_key, neon.base_url, sleep=lambda _: None)
        self.databases: NeonProject = NeonDatabases(self.http, self._project.id)
        self.sql: Sql = PostgresSql()
        self.settle, self.hold_operations = self._project.operations.wait, self._project.operations.hold_operations
        self.fail_next = self._project.operations.fail_next
        root = self._project.root.id
        self.run(root, "CREATE TABLE written (row int PRIMARY KEY)")

    def run(self, branch_id: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the branch's compute, or on its storage if the branch has no compute."""
        with self._session(branch_id) as session:
            cursor = session.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def uri(self, branch_id: str, database: str = DATABASE, role: str = ROLE) -> str:
        return self.databases.connection_uri(branch_id, database, role).get_secret_value()

    @property
    def behaviour(self) -> BehaviourOverrides:
        """Overrides of Neon's behaviour where its documentation leaves the behaviour open."""
        return self._project.behaviour

    @property
    def settings(self) -> ProjectSettings:
        """Settings of the project: IP Allow."""
        return self._project.settings

    def archive(self, branch_id: str) -> None:
        """Archive the branch, as Neon does with an unused branch."""
        self._project.archive(self._project.branch(branch_id))

    def compute(self, branch_id: str) -> Compute:
        """The branch's compute, with its pooler."""
        compute = self._project.compute_of(self._project.branch(branch_id))
        if compute is None:
            raise LookupError(f"branch {branch_id} has no compute")
        return compute

    def as_made_by_sql(self, branch_id: str) -> None:
        """Revoke the privileges of a role that the API created: BYPASSRLS, and reading all data."""
        with self._project.branch(branch_id).storage().cluster.connect() as admin:
            admin.execute(f"ALTER ROLE {ROLE} NOBYPASSRLS NOREPLICATION".encode())
            admin.execute(f"REVOKE neon_superuser FROM {ROLE}".encode())

    def write(self, branch_id: str, row: int) -> None:
        self.run(branch_id, "INSERT INTO written VALUES (%s)", row)

    def rows(self, branch_id: str) -> list[int]:
        return [row for (row,) in self.run(branch_id, "SELECT row FROM written ORDER BY ctid")]

    def define(self, branch_id: str, table: str) -> None:
        self.run(branch_id, f"CREATE TABLE {table} (id int)")

    def position(self, branch_id: str) -> tuple[Lsn, datetime]:
        # Neon's times have milliseconds: nothing else is committed in this one.
        query = "SELECT pg_current_wal_lsn(), clock_timestamp(), pg_sleep(0.002)"
        self.run(branch_id, "SELECT pg_sleep(0.002)")
        ((lsn, at, _),) = self.run(branch_id, query)
        return Lsn.parse(lsn), at

    def now(self) -> datetime:
        return datetime.now(UTC)

    def restrict(self, branch_id: str, action: str, reason: str) -> None:
        self._project.branch(branch_id).restricted[action] = reason

    def lose_next(self, call: str) -> None:
        self._neon.faults.inject(Fault(*_CALLS[call], status=524, is_applied_first=True))

    def reject_next(self, call: str, retry_after_seconds: int) -> None:
        self._neon.faults.inject(Fault(*_CALLS[call], status=429, retry_after_seconds=retry_after_seconds))

    @contextmanager
    def connected(self, branch_id: str, application: str) -> Iterator[None]:
        with psycopg.connect(self.uri(branch_id), application_name=application):
            yield

    def close(self) -> None:
        """Delete the project and stop its servers."""
        self._neon.delete_project(self.id)

    @contextmanager
    def _session(self, branch_id: str) -> Iterator["psycopg.Connection[Any]"]:
        branch = self._project.branch(branch_id)
        if self._project.compute_of(branch) is not None:
            with psycopg.connect(self.uri(branch_id), autocommit=True) as session:
                yield session
            return
        with branch.storage().running_cluster() as cluster, cluster.connect(DATABASE) as session:
            yield session
