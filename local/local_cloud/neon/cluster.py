"""One Postgres cluster: a data directory, and the server that may run on it. Reached through a Unix socket only."""

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

ADMIN = "cloud_admin"  # Neon's own superuser; its sessions are not the application's
DATABASE = "app"  # the first; each takes 300 files in each copy of the cluster
_SEGMENT_MB = 1
_PORT = 5432  # names the socket; nothing listens on it
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
# Small, and without protection against a crash of the machine. All WAL is kept: it is the branch's history.
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
# The application authenticates as with Neon; the administrator's way in is the file system.
_AUTHENTICATION = f"local all {ADMIN} trust\nlocal all all scram-sha-256\n"


class Cluster:
    """Whoever calls sees to it that one thread at a time starts or stops a cluster."""

    def __init__(self, data: Path, log: Path, *settings: str) -> None:
        """`settings`: options of the server's command line, beside those of its configuration."""
        self.data = data
        self.settings: tuple[str, ...] = ()  # besides the configuration, from the next start on
        self._settings = settings
        self._log = log
        self._server: subprocess.Popen[str] | None = None

    @property
    def socket(self) -> Path:
        """Where the server accepts connections."""
        return self.data / f".s.PGSQL.{_PORT}"

    @property
    def is_running(self) -> bool:
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
        """Start the server, recovering first if the data directory asks for it, and wait until it takes connections.

        Raises:
            PostgresFailure: it did not come up; the text is the end of its log.
        """
        if self.is_running:
            return
        sockets = f"-cunix_socket_directories={self.data}"  # named at each start: the directory was copied
        more = (*(f"-c{one}" for one in self.settings), *self._settings)
        self._server = neon_postgres.start("postgres", f"-D{self.data}", sockets, *more, log=self._log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts_connections(database):
            if not self.is_running or time.monotonic() > deadline:
                self.stop()
                raise PostgresFailure(f"Postgres did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Drop all connections, write everything, and end."""
        if self._server is None:
            return
        self._server.communicate()  # closes its standard input, which ends it
        self._server = None

    @contextmanager
    def running(self, database: str = DATABASE) -> Iterator[None]:
        """Run the server for as long as the context lasts, however that ends."""
        try:
            self.start(database)
            yield
        finally:
            self.stop()

    def connect(self, database: str = DATABASE) -> "psycopg.Connection[Any]":
        """A session of the administrator, each statement a transaction of its own."""
        return psycopg.connect(host=str(self.data), port=_PORT, user=ADMIN, dbname=database, autocommit=True)

    def control(self) -> dict[str, str]:
        """What `pg_controldata` knows of the data directory; of a running cluster, as of its last checkpoint."""
        lines = neon_postgres.run("pg_controldata", self.data).splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def segment_of(self, at: Lsn, timeline: int) -> Path:
        """The file of the log that holds a position on one of Postgres's timelines."""
        number = at.number // (_SEGMENT_MB << 20)
        high, low = divmod(number, (1 << 32) // (_SEGMENT_MB << 20))
        return self.data / "pg_wal" / f"{timeline:08X}{high:08X}{low:08X}"

    def _accepts_connections(self, database: str) -> bool:
        try:
            self.connect(database).close()
        except psycopg.OperationalError:
            return False
        return True
