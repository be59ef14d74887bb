"""SQL on the fake Neon's branches: what is in them is what was written there; the rest is set by the test."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fake_neon import FakeNeon
from pydantic import SecretStr

from rollback.model.background_work import BackgroundWork
from rollback.model.database_content import ClientSession, Head, LiveSchema, Migration, TableContent
from rollback.model.database_errors import QueryFailed, SessionRefused, Unreachable

TABLE, COLUMNS = "public.written", ("row",)


class FakeSql:
    """Sessions, schema and journal are those of a branch by its id.

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
        self._neon = neon

    @contextmanager
    def connected(self, branch_id: str, role: str, application: str) -> Iterator[None]:
        """A client of the application."""
        session = ClientSession(pid=1, role=role, application=application, state="idle")
        self.sessions.setdefault(branch_id, []).append(session)
        yield
        if session in self.sessions[branch_id]:
            self.sessions[branch_id].remove(session)

    def head(self, address: SecretStr) -> Head:
        branch = self._branch(address)
        lsn, at = self._neon.position(branch)
        return Head(lsn=lsn, at=at, timeline=self._neon.timeline(branch))

    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        branch = self._branch(address)
        stops = sum(
            operation.branch_id == branch and operation.action == "suspend_compute" and operation.has_succeeded
            for operation in self._neon._operations.values()
        )
        if stops > self._stops.get(branch, 0):
            again = [session for session in self.sessions.get(branch, ()) if session.application in self.comes_back]
            now = self._neon._clock.now()
            self.sessions[branch] = [session.model_copy(update={"connected_at": now}) for session in again]
        self._stops[branch] = stops
        return tuple(self.sessions.get(branch, ()))

    def background_work(self, address: SecretStr) -> BackgroundWork:
        return self.background.get(self._branch(address), BackgroundWork())

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        return dict(self.ages.get(self._branch(address), {}))

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
        for endpoint in self._neon._endpoints.values():
            found = self._neon.branch(endpoint.branch_id)
            if found is not None and found.is_ready and f"@{endpoint.host}/" in address.get_secret_value():
                raise SessionRefused("no session with the database: password authentication failed")
        raise Unreachable("no session with the database")
