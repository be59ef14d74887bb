"""Storage of one branch: a cluster, and its history since the branch was created or last restored.

A timeline keeps a cold copy of its data directory from before its first start (the base), and all WAL since. A restore
is Postgres's own recovery: it copies the base, replays the WAL up to a position, and promotes a new timeline there. The
time before the base can't be restored. Neon has the same rule: a branch's own history begins with its last restore.
"""

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.cluster import DATABASE, Cluster
from local_cloud.neon.replication import LOGICAL_REPLICATION, drop_subscriptions
from rollback.resources.database.wal_position import Lsn, Position

_CHECKPOINT, _TIMELINE = "Latest checkpoint location", "Latest checkpoint's TimeLineID"  # names in pg_controldata
_COMMIT = re.compile(r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+),.* desc: COMMIT (?P<at>[0-9-]+ [0-9:]+\.[0-9]+) UTC")
# `neon_superuser` as compute_tools/src/spec_apply.rs and its migrations make it. The role can't log in.
_PRIVILEGED = """
CREATE ROLE neon_superuser CREATEDB CREATEROLE NOLOGIN REPLICATION BYPASSRLS
  IN ROLE pg_read_all_data, pg_write_all_data;
GRANT pg_monitor TO neon_superuser WITH ADMIN OPTION;
GRANT pg_create_subscription TO neon_superuser;
GRANT pg_signal_backend TO neon_superuser WITH ADMIN OPTION
"""
_DATABASES = """
SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname <> 'template1' ORDER BY oid
"""


class OutsideHistoryError(ValueError):
    """The position is before the branch's history, or after the head."""


@dataclass(frozen=True)
class Credentials:
    """Passwords that Neon's API returns: those of the database's owner and of the roles that the API created."""

    role: str
    password: str
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def passwords(self) -> dict[str, str]:
        """Passwords by role."""
        return {self.role: self.password, **self.others}

    def with_new_passwords(self) -> "Credentials":
        """Return new passwords for all roles."""
        return self.with_passwords({role: new_password() for role in self.passwords})

    def with_passwords(self, passwords: Mapping[str, str]) -> "Credentials":
        """Return the same roles with these passwords. A role that `passwords` lacks keeps its own."""
        changed = {role: passwords.get(role, password) for role, password in self.passwords.items()}
        return Credentials(self.role, changed.pop(self.role), changed)


def new_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(12)


class Timeline:
    """A timeline. Thread-safe: a lock lets one thread at a time start, stop and read the server.

    Attributes:
        id: value of `SHOW neon.timeline_id`, as on Neon's computes (neondatabase/neon, `libpagestore.c`).
    """

    def __init__(self, folder: Path, credentials: Credentials) -> None:
        folder.mkdir()
        neon_postgres.account().give_ownership(folder)
        self.credentials = credentials
        self.logical_replication = False
        self._folder = folder
        self.id = secrets.token_hex(16)
        self._base = Cluster(folder / "base", folder / "log")
        self.cluster = Cluster(folder / "data", folder / "log", f"-cneon.timeline_id={self.id}")
        self.lock = threading.RLock()

    @classmethod
    def initial(cls, folder: Path, role: str) -> "Timeline":
        """Make a timeline with an empty database and its owner."""
        timeline = cls(folder, Credentials(role, new_password()))
        base, name, owner = timeline._base, sql.Identifier(DATABASE), sql.Identifier(role)
        base.initialise()
        with base.running("postgres"):
            with base.connect("postgres") as session:
                session.execute(_PRIVILEGED)
                session.execute(create_role_statement(role, timeline.credentials.password))
                session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
                session.execute("UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'")
                session.execute("DROP DATABASE template0")  # template1 stays, as the template of new databases
            with base.connect() as session:
                session.execute("DROP DATABASE postgres")
        return timeline

    def enable_logical_replication(self) -> None:
        """Enable logical replication from the next start on."""
        self.logical_replication = True
        for cluster in (self._base, self.cluster):
            cluster.settings = LOGICAL_REPLICATION

    def prepare(self, prepare: Callable[[Cluster], None]) -> None:
        """Write into the base before the first start. Such data precedes the history, and is never replayed."""
        settings = self._base.data / "postgresql.auto.conf"
        with self.lock:
            settings.write_text("wal_keep_size = 0\n")  # this WAL is no history, and each branch would copy it
            with self._base.running():
                prepare(self._base)
            settings.write_text("")

    def start(self) -> None:
        """Start the server. The first start makes the data directory from the base."""
        with self.lock:
            if not self.cluster.data.exists():
                _copy_folder(self._base.data, self.cluster.data)
            self.cluster.start()

    def stop(self) -> None:
        """Stop the server, and keep its data."""
        with self.lock:
            self.cluster.stop()

    def delete(self) -> None:
        """Stop the server, and remove all files."""
        with self.lock:
            self.cluster.stop()
            neon_postgres.run("rm", "-rf", self._folder)

    @contextmanager
    def running_cluster(self) -> Iterator[Cluster]:
        """Run the cluster until the context ends; then stop it, unless it ran before."""
        with self.lock:
            ran_before = self.cluster.is_running
            self.start()
            try:
                yield self.cluster
            finally:
                if not ran_before:
                    self.stop()

    def resolve(self, at: Position | None) -> Lsn:
        """Return a position as an LSN; the head's for None.

        A time stands for all commits at or before it, by the database's clock.

        Raises:
            OutsideHistoryError: the position is before the timeline's beginning, or after its head.
        """
        with self.lock:
            begin, head = self._begin(), self._head()
            if at is None:
                return head
            lsn = at if isinstance(at, Lsn) else self._first_commit_after(at, begin, head) or head
        if not begin < lsn <= head:
            raise OutsideHistoryError(f"{lsn} is not between {begin} and {head}")
        return lsn

    def last_commit_before(self, at: datetime) -> Lsn | None:
        """Return the LSN of the last commit before a time; None if this history has none."""
        with self.lock:
            commits = self._commits(self._begin(), self._head())
            return max((lsn for lsn, committed in commits if committed < at), default=None)

    def fork(self, folder: Path, at: Lsn, credentials: Credentials | None = None) -> "Timeline":
        """Make a timeline with the state at an LSN that `resolve` returned. This timeline is only read.

        The WAL holds no replication slots, so the new timeline has none. Its subscriptions are dropped (`replication`).

        Args:
            folder: that of the new timeline; it must not exist.
            at: an LSN of this timeline.
            credentials: passwords of the new timeline; None: the same.

        Raises:
            PostgresFailure: recovery did not reach the LSN.
        """
        forked = Timeline(folder, credentials or self.credentials)
        if self.logical_replication:
            forked.enable_logical_replication()
        base = forked._base
        _copy_folder(self._base.data, base.data)
        with self.lock:
            has_history = self.cluster.data.exists()
            is_to_end = not self.cluster.is_running and at >= self._head()
        if has_history:
            target = "" if is_to_end else f"recovery_target_lsn = '{at}'\nrecovery_target_inclusive = off\n"
            (base.data / "postgresql.auto.conf").write_text(
                f"{target}recovery_target_action = promote\nrecovery_target_timeline = current\n"
                f"restore_command = 'cp {self.cluster.data}/pg_wal/%f %p'\n"
            )
            (base.data / "recovery.signal").touch()
            neon_postgres.account().give_ownership(base.data / "recovery.signal")
        if has_history or forked.credentials != self.credentials:
            with base.running():
                forked._set_passwords(self.credentials)
            (base.data / "postgresql.auto.conf").write_text("")
        return forked

    def create_role(self, role: str) -> str:
        """Create a role as Neon's API does; return its password."""
        password = new_password()
        with self.running_cluster() as cluster, cluster.connect() as session:
            session.execute(create_role_statement(role, password))
        self.credentials = replace(self.credentials, others={**self.credentials.others, role: password})
        return password

    def create_database(self, name: str, owner: str) -> None:
        """Create an empty database."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        with self.running_cluster() as cluster, cluster.connect() as session:
            session.execute(statement)

    def databases(self) -> dict[str, str]:
        """Return each database's owner by name, including those made by SQL."""
        with self.running_cluster() as cluster, cluster.connect() as session:
            return dict(session.execute(_DATABASES).fetchall())

    def _set_passwords(self, previous_credentials: Credentials) -> None:
        """Set the passwords of the existing roles. The base's server must run."""
        with self._base.connect() as session:
            existing = {row[0] for row in session.execute("SELECT rolname FROM pg_roles")}
            others = {role: password for role, password in self.credentials.others.items() if role in existing}
            self.credentials = replace(self.credentials, others=others)
            for role, password in self.credentials.passwords.items():
                if previous_credentials.passwords.get(role) != password:
                    session.execute(_alter_role_statement(role, password))
        if self.logical_replication:
            drop_subscriptions(self._base)

    def _begin(self) -> Lsn:
        return Lsn.parse(self._base.control()[_CHECKPOINT])

    def _head(self) -> Lsn:
        if self.cluster.is_running:
            with self.cluster.connect() as session:
                row = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
                # Recovery stops before the first record at or after its target, so a record must follow.
                session.execute("SELECT pg_logical_emit_message(false, 'local-neon', 'head', true)")
            return Lsn.parse(row[0] if row else "")
        stopped = self.cluster if self.cluster.data.exists() else self._base
        return Lsn(Lsn.parse(stopped.control()[_CHECKPOINT]).number + 1)

    def _first_commit_after(self, at: datetime, begin: Lsn, head: Lsn) -> Lsn | None:
        return next((lsn for lsn, committed in self._commits(begin, head) if committed > at), None)

    def _commits(self, begin: Lsn, head: Lsn) -> Iterator[tuple[Lsn, datetime]]:
        if not self.cluster.data.exists():
            return
        timeline = int(self._base.control()[_TIMELINE])
        files = [self.cluster.segment_of(position, timeline) for position in (begin, head)]
        dump = neon_postgres.run("pg_waldump", f"--start={begin}", f"--end={head}", "--rmgr=Transaction", *files)
        for commit in _COMMIT.finditer(dump):
            at = datetime.strptime(commit["at"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            yield Lsn.parse(commit["lsn"]), at


def _copy_folder(source: Path, target: Path) -> None:
    neon_postgres.run("cp", "-a", source, target)


def create_role_statement(role: str, password: str) -> sql.Composed:
    """Return the statement of Neon's API (compute_tools/src/spec_apply.rs in neondatabase/neon).

    A role made by SQL lacks these privileges.
    """
    statement = (
        "CREATE ROLE {} LOGIN INHERIT CREATEROLE CREATEDB BYPASSRLS REPLICATION IN ROLE neon_superuser PASSWORD {}"
    )
    return sql.SQL(statement).format(sql.Identifier(role), sql.Literal(password))


def _alter_role_statement(role: str, password: str) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
