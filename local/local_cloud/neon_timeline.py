"""The storage of one branch: a cluster, and all its history since the branch was made or last restored.

A timeline keeps a cold copy of its data directory from before its first start (the base) and all WAL since. Going back
is Postgres's own recovery: a copy of the base, the WAL replayed up to a position, a new timeline promoted there. What
was before the base is not to be had, which is Neon's rule too: a branch's own history begins when it is restored.
"""

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from local_cloud import neon_postgres
from local_cloud.neon_cluster import ADMIN, DATABASE, Cluster
from rollback.model.database_position import Lsn, Position

_CHECKPOINT, _TIMELINE = "Latest checkpoint location", "Latest checkpoint's TimeLineID"  # as pg_controldata has it
_COMMIT = re.compile(r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+),.* desc: COMMIT (?P<at>[0-9-]+ [0-9:]+\.[0-9]+) UTC")
_NOT_SCHEMA = ("--", "\\restrict", "\\unrestrict")  # comments, and keys that differ from dump to dump


class OutOfHistory(ValueError):
    """The position is before the branch's history, or after its head."""


@dataclass(frozen=True)
class Credentials:
    """A database's owner. A restore brings back the password of its source, as everything in the cluster."""

    role: str
    password: str


class Timeline:
    """Thread-safe: its server is started, stopped and read by one thread at a time.

    Attributes:
        id: what `SHOW neon.timeline_id` answers, as on Neon's computes (neondatabase/neon, `libpagestore.c`).
    """

    def __init__(self, folder: Path, credentials: Credentials) -> None:
        folder.mkdir()
        neon_postgres.account().own(folder)
        self.credentials = credentials
        self._folder = folder
        self.id = secrets.token_hex(16)
        self._base = Cluster(folder / "base", folder / "log")
        self.cluster = Cluster(folder / "data", folder / "log", f"-cneon.timeline_id={self.id}")
        self.lock = threading.RLock()

    @classmethod
    def initial(cls, folder: Path, role: str) -> "Timeline":
        """An empty database, its owner, and nothing else."""
        timeline = cls(folder, Credentials(role, secrets.token_urlsafe(12)))
        base, name, owner = timeline._base, sql.Identifier(DATABASE), sql.Identifier(role)
        base.initialise()
        with base.running("postgres"):
            with base.connect("postgres") as session:
                session.execute(_with_password("CREATE ROLE {} LOGIN PASSWORD {}", timeline.credentials))
                session.execute("UPDATE pg_database SET datistemplate = false")
                session.execute(sql.SQL("ALTER DATABASE template1 RENAME TO {}").format(name))
                session.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
            with base.connect() as session:
                session.execute("DROP DATABASE template0")
                session.execute("DROP DATABASE postgres")
        return timeline

    def start(self) -> None:
        """Start the server. The first time, this makes the data directory from the base."""
        with self.lock:
            if not self.cluster.data.exists():
                _copy(self._base.data, self.cluster.data)
            self.cluster.start()

    def stop(self) -> None:
        """Stop the server; what is written stays."""
        with self.lock:
            self.cluster.stop()

    def delete(self) -> None:
        """Stop the server and remove all files."""
        with self.lock:
            self.cluster.stop()
            neon_postgres.run("rm", "-rf", self._folder)

    @contextmanager
    def started(self) -> Iterator[Cluster]:
        """The cluster with its server running, for as long as it is looked at."""
        with self.lock:
            ran = self.cluster.is_running
            self.start()
            try:
                yield self.cluster
            finally:
                if not ran:
                    self.stop()

    def resolve(self, at: Position | None) -> Lsn:
        """Where in the log a position is; the head unless told.

        A time stands for all that was committed at or before it, by the database's clock.

        Raises:
            OutOfHistory: before the timeline's beginning, or after its head.
        """
        with self.lock:
            begin, head = self._begin(), self._head()
            if at is None:
                return head
            found = at if isinstance(at, Lsn) else self._first_commit_after(at, begin, head) or head
        if not begin < found <= head:
            raise OutOfHistory(f"{found} is not between {begin} and {head}")
        return found

    def last_commit_before(self, at: datetime) -> Lsn | None:
        """Where the last commit before a time begins; None if there is none in this history."""
        with self.lock:
            commits = self._commits(self._begin(), self._head())
            return max((lsn for lsn, committed in commits if committed < at), default=None)

    def fork(self, folder: Path, at: Lsn, *, new_password: bool) -> "Timeline":
        """A new timeline with the state at a position that `resolve` gave; this one is only read.

        Raises:
            PostgresFailure: recovery did not reach it.
        """
        password = secrets.token_urlsafe(12) if new_password else self.credentials.password
        forked = Timeline(folder, Credentials(self.credentials.role, password))
        base = forked._base
        _copy(self._base.data, base.data)
        with self.lock:
            written = self.cluster.data.exists()
            to_the_end = not self.cluster.is_running and at >= self._head()
        if written:
            target = "" if to_the_end else f"recovery_target_lsn = '{at}'\nrecovery_target_inclusive = off\n"
            (base.data / "postgresql.auto.conf").write_text(
                f"{target}recovery_target_action = promote\nrecovery_target_timeline = current\n"
                f"restore_command = 'cp {self.cluster.data}/pg_wal/%f %p'\n"
            )
            (base.data / "recovery.signal").touch()
            neon_postgres.account().own(base.data / "recovery.signal")
        if written or new_password:
            with base.running():
                if new_password:
                    with base.connect() as session:
                        session.execute(_with_password("ALTER ROLE {} PASSWORD {}", forked.credentials))
            (base.data / "postgresql.auto.conf").write_text("")
        return forked

    def dump_schema(self, database: str) -> str:
        """The schema as SQL, without what changes from one dump to the next."""
        with self.started() as cluster:
            told = neon_postgres.run(
                "pg_dump", "--schema-only", f"--host={cluster.data}", f"--username={ADMIN}", database
            )
        return "".join(f"{line}\n" for line in told.splitlines() if line and not line.startswith(_NOT_SCHEMA))

    def _begin(self) -> Lsn:
        return Lsn.parse(self._base.control()[_CHECKPOINT])

    def _head(self) -> Lsn:
        if self.cluster.is_running:
            with self.cluster.connect() as session:
                row = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
                # Recovery stops before the first record at or after its target: there has to be one.
                session.execute("SELECT pg_logical_emit_message(false, 'local-neon', 'head', true)")
            return Lsn.parse(row[0] if row else "")
        of = self.cluster if self.cluster.data.exists() else self._base
        return Lsn(Lsn.parse(of.control()[_CHECKPOINT]).number + 1)

    def _first_commit_after(self, at: datetime, begin: Lsn, head: Lsn) -> Lsn | None:
        return next((lsn for lsn, committed in self._commits(begin, head) if committed > at), None)

    def _commits(self, begin: Lsn, head: Lsn) -> Iterator[tuple[Lsn, datetime]]:
        if not self.cluster.data.exists():
            return
        timeline = int(self._base.control()[_TIMELINE])
        files = [self.cluster.segment_of(position, timeline) for position in (begin, head)]
        told = neon_postgres.run("pg_waldump", f"--start={begin}", f"--end={head}", "--rmgr=Transaction", *files)
        for commit in _COMMIT.finditer(told):
            at = datetime.strptime(commit["at"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            yield Lsn.parse(commit["lsn"]), at


def _copy(source: Path, target: Path) -> None:
    neon_postgres.run("cp", "-a", source, target)


def _with_password(statement: str, credentials: Credentials) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(credentials.role), sql.Literal(credentials.password))
