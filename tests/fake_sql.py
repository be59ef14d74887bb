"""SQL on the fake Neon's branches: what is in them is what was written there; the rest is set by the test."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fake_neon import FakeNeon
from pydantic import SecretStr

from rollback.model.database_content import ClientSession, Head, LiveSchema, Migration, TableContent
from rollback.model.database_errors import QueryFailed, Unreachable

TABLE, COLUMNS = "public.written", ("row",)


class FakeSql:
    """Sessions, schema and journal are those of a branch by its id."""

    def __init__(self, neon: FakeNeon) -> None:
        self.sessions: dict[str, list[ClientSession]] = {}
        self.schemas: dict[str, LiveSchema] = {}
        self.journals: dict[str, tuple[Migration, ...]] = {}
        self.asleep = 0
        self._neon = neon

    @contextmanager
    def connected(self, branch_id: str, role: str, application: str) -> Iterator[None]:
        """A client of the application."""
        session = ClientSession(pid=1, role=role, application=application, state="idle")
        self.sessions.setdefault(branch_id, []).append(session)
        yield
        self.sessions[branch_id].remove(session)

    def head(self, address: SecretStr) -> Head:
        branch = self._branch(address)
        lsn, at = self._neon.position(branch)
        return Head(lsn=lsn, at=at, timeline=self._neon.timeline(branch))

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        return tuple(self.sessions.get(self._branch(address), ()))

    def live_schema(self, address: SecretStr) -> LiveSchema:
        branch = self._branch(address)
        return self.schemas.get(branch, self._neon.migrated(branch).tables)

    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        branch = self._branch(address)
        return self.journals.get(branch, self._neon.migrated(branch).journal)

    def content(
        self, address: SecretStr, digests_up_to_rows: int, columns: Mapping[str, tuple[str, ...]] | None = None
    ) -> Mapping[str, TableContent]:
        compared = (columns or {}).get(TABLE, COLUMNS)
        rows = self._neon.rows(self._branch(address))
        if len(rows) > digests_up_to_rows:
            return {TABLE: TableContent(rows=len(rows), digests=None)}
        if not set(compared) <= set(COLUMNS):
            raise QueryFailed(f"the database refused to tell: UndefinedColumn: {', '.join(compared)}")
        digests = {str(row): f"digest of {row if compared else 'no column'}" for row in rows}
        return {TABLE: TableContent(rows=len(rows), digests=digests)}

    def _branch(self, address: SecretStr) -> str:
        """The branch behind an address. `asleep` times it wakes up first; all of an address must be right."""
        if self.asleep:
            self.asleep -= 1
            raise Unreachable("the compute is waking up")
        for branch in self._neon.branches():
            if branch.is_ready and address in self._neon.addresses(branch.id):
                return branch.id
        raise Unreachable("no session with the database")
