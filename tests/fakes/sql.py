"""SQL on the fake Neon's branches: rows come from the fake Neon, all other answers from the test."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager

from fakes.neon import FakeNeon
from pydantic import SecretStr

from rollback.domain.database.sequences import Name, SequenceValue
from rollback.resources.database.background_work import BackgroundWork
from rollback.resources.database.errors import QueryFailed, SessionRefused, Unreachable
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.postgres import ClientSession, WalPosition
from rollback.resources.database.probe import SessionTimes
from rollback.resources.database.relation import BranchDatabase, Bucket, Relation, RowQuery
from rollback.resources.database.row_comparison import RowDigest
from rollback.resources.database.statement import StatementResult

TABLE, COLUMNS = "public.written", ("row",)


class FakeSql:
    """Answers of Postgres by branch id: sessions, schema and journal.

    A compute that stops ends its sessions; programs in `comes_back`, by their application, connect again.
    """

    def __init__(self, neon: FakeNeon) -> None:
        self.sessions: dict[str, list[ClientSession]] = {}
        self.schemas: dict[str, LiveSchema] = {}
        self.journals: dict[str, tuple[Migration, ...]] = {}
        self.background: dict[str, BackgroundWork] = {}
        self.comes_back: set[str] = set()
        self.asleep = 0
        self._stops: dict[str, int] = {}
        self.ages: dict[str, dict[str, float]] = {}
        self.results: dict[tuple[str, str], StatementResult] = {}  # branch id, statement → result
        self.seconds_of: dict[str, float] = {}
        self.sequence_set: dict[str, int] = {}  # branch id → highest value that was set
        self._neon = neon

    @contextmanager
    def connected(self, branch_id: str, role: str, application: str) -> Iterator[None]:
        """Return a session of the application's client."""
        session = ClientSession(pid=1, role=role, application=application, state="idle")
        self.sessions.setdefault(branch_id, []).append(session)
        yield
        if session in self.sessions[branch_id]:
            self.sessions[branch_id].remove(session)

    def head(self, address: SecretStr) -> WalPosition:
        branch = self._branch(address)
        lsn, at = self._neon.position(branch)
        return WalPosition(lsn=lsn, at=at, timeline=self._neon.timeline(branch))

    def measure(self, address: SecretStr) -> SessionTimes:
        self._branch(address)
        return SessionTimes(connect_milliseconds=40, query_milliseconds=3)

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        branch = self._branch(address)
        stops = sum(
            operation.branch_id == branch and operation.action == "suspend_compute" and operation.has_succeeded
            for operation in self._neon._operations.values()
        )
        if stops > self._stops.get(branch, 0):
            returning_sessions = [
                session for session in self.sessions.get(branch, ()) if session.application in self.comes_back
            ]
            now = self._neon._clock.now()
            self.sessions[branch] = [session.model_copy(update={"connected_at": now}) for session in returning_sessions]
        self._stops[branch] = stops
        return tuple(self.sessions.get(branch, ()))

    def background_work(self, address: SecretStr) -> BackgroundWork:
        return self.background.get(self._branch(address), BackgroundWork())

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        return dict(self.ages.get(self._branch(address), {}))

    def live_schema(self, address: SecretStr) -> LiveSchema:
        branch = self._branch(address)
        return self.schemas.get(branch, self._neon.migrated_state(branch).tables)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        branch = self._branch(address)
        return self.journals.get(branch, self._neon.migrated_state(branch).journal)

    def answers(
        self, address: SecretStr, statements: tuple[str, ...], statement_seconds: float
    ) -> tuple[StatementResult, ...]:
        """Answer from `results`; a statement takes the `seconds_of` it, and other statements are refused."""
        branch = self._branch(address)
        return tuple(self._answer(branch, statement, statement_seconds) for statement in statements)

    def _answer(self, branch: str, statement: str, statement_seconds: float) -> StatementResult:
        if self.seconds_of.get(statement, 0.0) > statement_seconds:
            return StatementResult(error="the database refused the query: canceling statement due to statement timeout")
        unknown = StatementResult(error="the database refused the query: syntax error")
        version = StatementResult(rows=1, value="PostgreSQL 17.4") if statement == "SELECT version()" else unknown
        return self.results.get((branch, statement), version)

    def databases(self, address: SecretStr) -> tuple[BranchDatabase, ...]:
        self._branch(address)
        return (BranchDatabase(name=_database_of(address)),)

    def relations(self, address: SecretStr, database: str) -> tuple[Relation, ...]:
        self._known(address, database)
        schema, _, name = TABLE.partition(".")
        return (Relation(schema_name=schema, name=name, key=COLUMNS, columns=COLUMNS),)

    def count(self, address: SecretStr, row_query: RowQuery) -> int:
        return len(self._rows(address, row_query))

    def buckets(self, address: SecretStr, row_query: RowQuery) -> Mapping[int, Bucket]:
        digests: dict[int, list[int]] = {}
        for row in self._rows(address, row_query):
            digests.setdefault(row & 16_383, []).append(row)
        return {
            number: Bucket(rows=len(rows), digest=str(sum(_digest(row, row_query) for row in rows)))
            for number, rows in digests.items()
        }

    def rows(
        self, address: SecretStr, row_query: RowQuery, buckets: tuple[int, ...]
    ) -> Generator[RowDigest, None, None]:
        rows = sorted({row for row in self._rows(address, row_query) if row & 16_383 in buckets})
        yield from (RowDigest(row, f"[{row}]" if row_query.key else "", _digest(row, row_query)) for row in rows)

    def sequences(self, address: SecretStr, database: str) -> tuple[SequenceValue, ...]:
        """Return the one sequence, which numbers the rows."""
        branch = self._known(address, database)
        last_value = max([*self._neon.rows(branch), self.sequence_set.get(branch, 0)], default=0)
        name = "written_row_seq"
        return (SequenceValue(database=database, schema_name="public", name=name, last_value=last_value or None),)

    def set_sequences(
        self, address: SecretStr, database: str, values: Iterable[tuple[SequenceValue, int]]
    ) -> Mapping[Name, str]:
        branch = self._known(address, database)
        for sequence, value in values:
            if sequence.name != "written_row_seq":
                return {sequence.identity: "there is no such sequence"}
            self.sequence_set[branch] = value
        return {}

    def _rows(self, address: SecretStr, row_query: RowQuery) -> list[int]:
        branch = self._known(address, row_query.database)
        unknown_columns = {*row_query.columns, *row_query.key} - set(COLUMNS)
        if unknown_columns or f"{row_query.schema_name}.{row_query.name}" != TABLE or row_query.reads_as is not None:
            raise QueryFailed(f"the database refused the query: {row_query}")
        return self._neon.rows(branch)

    def _known(self, address: SecretStr, database: str) -> str:
        if database != _database_of(address):
            raise QueryFailed(f"the database refused the query: there is no database {database}")
        return self._branch(address)

    def _branch(self, address: SecretStr) -> str:
        """Return the branch of an address, which must match; the first `asleep` calls only wake the compute."""
        if self.asleep:
            self.asleep -= 1
            raise Unreachable("the compute is waking up")
        for branch in self._neon.branches():
            if branch.is_ready and address in self._neon.addresses(branch.id):
                return branch.id
        for endpoint in self._neon._endpoints.values():
            addressed_branch = self._neon.branch(endpoint.branch_id)
            if (
                addressed_branch is not None
                and addressed_branch.is_ready
                and f"@{endpoint.host}/" in address.get_secret_value()
            ):
                raise SessionRefused("no session with the database: password authentication failed")
        raise Unreachable("no session with the database")


def _database_of(address: SecretStr) -> str:
    """Return the only database that the fake has on a branch."""
    return address.get_secret_value().rpartition("/")[2]


def _digest(row: int, row_query: RowQuery) -> int:
    return row * 1_000_003 if row_query.columns else 7
