"""A Postgres cluster: a data directory and the server that may run on it. It listens on a Unix socket only."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.postgres import PostgresFailure
from rollback.resources.database.wal_position import Lsn

ADMIN = "cloud_admin"  # Neon's own superuser
DATABASE = "app"  # the first database; each database has 300 files in each copy of the cluster
_SEGMENT_MB = 1
_PORT = 5432  # part of the socket's name; no TCP port listens
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
# Small, and not safe against a crash of the machine. All WAL is kept, since it is the branch's history.
_CONFIGURATION = """
listen_addresses = ''
shared_buffers = 4MB
max_connections = 40
max_worker_processes = 2
max_logical_replication_workers = 0
io_method = sync
fsync = off
full_page_writes = off
wal_level = replica
max_wal_senders = 0
wal_keep_size = 1TB
min_wal_size = 2MB
wal_recycle = off
hot_standby = off
autovacuum = off
jit = off
timezone = UTC
log_timezone = UTC
"""
# The application authenticates with a password, as with Neon. The file system protects the administrator's access.
_AUTHENTICATION = f"local all {ADMIN} trust\nlocal all all scram-sha-256\n"


class Cluster:
    """A cluster. The caller makes sure that one thread at a time starts or stops it.

    Attributes:
        settings: configuration that the next start adds.
    """

    def __init__(self, data: Path, log: Path, *settings: str) -> None:
        """Describe a cluster without touching its files.

        Args:
            data: the data directory.
            log: file of the server's output.
            settings: options of the server's command line, beside its configuration.
        """
        self.data = data
        self.settings: tuple[str, ...] = ()
        self._settings = settings
        self._log = log
        self._server: subprocess.Popen[str] | None = None

    @property
    def socket(self) -> Path:
        """Unix socket on which the server accepts connections."""
        return self.data / f".s.PGSQL.{_PORT}"

    @property
    def is_running(self) -> bool:
        """Whether the server runs."""
        return self._server is not None and self._server.poll() is None

    def initialise(self) -> None:
        """Make the data directory of an empty cluster. Takes about a second of one core."""
        neon_postgres.run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={ADMIN}",
            "--encoding=UTF8",
            "--locale=C",
            f"--wal-segsize={_SEGMENT_MB}",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)
        (self.data / "pg_hba.conf").write_text(_AUTHENTICATION)

    def start(self, database: str = DATABASE) -> None:
        """Start the server and wait until it accepts connections. A `recovery.signal` starts a recovery first.

        Raises:
            PostgresFailure: the server did not start. The text is the end of its log.
        """
        if self.is_running:
            return
        sockets = f"-cunix_socket_directories={self.data}"  # given at each start, since the directory is a copy
        options = (*(f"-c{setting}" for setting in self.settings), *self._settings)
        self._server = neon_postgres.start("postgres", f"-D{self.data}", sockets, *options, log=self._log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts_connections(database):
            if not self.is_running or time.monotonic() > deadline:
                self.stop()
                raise PostgresFailure(f"Postgres did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server with a fast shutdown: drop all connections and write all data."""
        if self._server is None:
            return
        self._server.communicate()  # closes its standard input, which ends it
        self._server = None

    @contextmanager
    def running(self, database: str = DATABASE) -> Iterator[None]:
        """Run the server until the context ends."""
        try:
            self.start(database)
            yield
        finally:
            self.stop()

    def connect(self, database: str = DATABASE) -> "psycopg.Connection[Any]":
        """Open a session of the administrator with autocommit."""
        return psycopg.connect(host=str(self.data), port=_PORT, user=ADMIN, dbname=database, autocommit=True)

    def control(self) -> dict[str, str]:
        """Return the output of `pg_controldata`. For a running cluster it is as old as the last checkpoint."""
        lines = neon_postgres.run("pg_controldata", self.data).splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def segment_of(self, at: Lsn, timeline: int) -> Path:
        """Return the WAL file that holds a position on one of Postgres's timelines."""
        number = at.number // (_SEGMENT_MB << 20)
        high, low = divmod(number, (1 << 32) // (_SEGMENT_MB << 20))
        return self.data / "pg_wal" / f"{timeline:08X}{high:08X}{low:08X}"

    def _accepts_connections(self, database: str) -> bool:
        try:
            self.connect(database).close()
        except psycopg.OperationalError:
            return False
        return True
