"""What the database step needs of Neon, and of Postgres. Neon answers a change at once; its operations go on."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from rollback.domain.database.sequences import Name, SequenceValue
from rollback.resources.database.background_work import BackgroundWork
from rollback.resources.database.neon import Branch, BranchChange, Endpoint, EndpointChange, Operation, Project
from rollback.resources.database.postgres import ClientSession, LiveSchema, Migration, WalPosition
from rollback.resources.database.relation import BranchDatabase, Bucket, Relation, RowQuery
from rollback.resources.database.row_comparison import RowDigest
from rollback.resources.database.wal_position import Position


class Databases(Protocol):
    """One Neon project. Errors are those of `model.database_errors`; the changing methods are never retried."""

    def project(self) -> Project: ...
    def branches(self) -> Iterator[Branch]: ...
    def branch(self, branch_id: str) -> Branch | None:
        """None: there is none such (any more)."""
        ...

    def branch_named(self, name: str) -> Branch | None:
        """By exact name."""
        ...

    def endpoints(self, branch_id: str) -> tuple[Endpoint, ...]: ...
    def operation(self, operation_id: str) -> Operation: ...
    def operations_since(self, since: datetime) -> tuple[Operation, ...]:
        """The whole project's, newest first: those created at a time or after it."""
        ...

    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool = False) -> SecretStr: ...
    def schema(self, branch_id: str, database: str, at: Position | None = None) -> str:
        """As SQL; of the branch's head unless told."""
        ...

    def schema_difference(
        self,
        branch_id: str,
        base_branch_id: str,
        database: str,
        at: Position | None = None,
        base_at: Position | None = None,
    ) -> str:
        """From the base's schema to the branch's, as a unified diff; empty if they are the same."""
        ...

    def create_branch(
        self,
        name: str,
        parent_id: str,
        at: Position | None = None,
        *,
        with_endpoint: bool = False,
        protected: bool = False,
        expires_at: datetime | None = None,
    ) -> BranchChange: ...
    def restore(
        self,
        branch_id: str,
        source_branch_id: str,
        at: Position | None = None,
        preserve_under_name: str | None = None,
    ) -> BranchChange:
        """Overwrite a branch with a source's state, its head unless told. A reset is this with the parent as source.

        `preserve_under_name` is needed for a restore from itself and for a branch with children, who move to it.
        """
        ...

    def update_branch(
        self, branch_id: str, *, name: str | None = None, protected: bool | None = None
    ) -> BranchChange: ...
    def expire_branch(self, branch_id: str, at: datetime | None) -> BranchChange:
        """Have Neon delete the branch at a time; None: keep it."""
        ...

    def delete_branch(self, branch_id: str) -> BranchChange | None:
        """None: it was gone already. Neon keeps what it deletes for seven days."""
        ...

    def create_endpoint(self, branch_id: str) -> EndpointChange:
        """A read-write one; a branch has at most one."""
        ...

    def delete_endpoint(self, endpoint_id: str) -> EndpointChange | None:
        """Drop its connections and the compute; the branch's data stays. None: it was gone already."""
        ...

    def start_endpoint(self, endpoint_id: str) -> EndpointChange: ...
    def suspend_endpoint(self, endpoint_id: str) -> EndpointChange: ...
    def restart_endpoint(self, endpoint_id: str) -> EndpointChange: ...


class Sql(Protocol):
    """A look into a database, by its connection URI on the direct host.

    A sleeping compute makes it `Unreachable`, an address that will never be let in `SessionRefused`.
    """

    def head(self, address: SecretStr) -> WalPosition: ...
    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """Who may write to the branch, but for us and Neon itself (rule 8): clients, and background workers."""
        ...

    def background_work(self, address: SecretStr) -> BackgroundWork:
        """Replication slots, subscriptions and scheduled jobs of the branch, in all its databases."""
        ...

    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        """`application_name` → seconds since a session of that name last began or did something.

        On the database's own clock. A name that is not there proves nothing.
        """
        ...

    def live_schema(self, address: SecretStr) -> LiveSchema: ...
    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """What migration tools applied, by their journals, each oldest first; None: the database has no journal."""
        ...

    def databases(self, address: SecretStr) -> tuple[BranchDatabase, ...]:
        """All databases of the branch: a restore takes every one of them back."""
        ...

    def relations(self, address: SecretStr, database: str) -> tuple[Relation, ...]:
        """All that holds rows in one database, sorted by name, but what is Postgres's or Neon's own."""
        ...

    def count(self, address: SecretStr, asked: RowQuery) -> int: ...
    def buckets(self, address: SecretStr, asked: RowQuery) -> Mapping[int, Bucket]:
        """The number and the digest of the rows in each of 16,384 buckets."""
        ...

    def rows(self, address: SecretStr, asked: RowQuery, buckets: tuple[int, ...]) -> Generator[RowDigest, None, None]:
        """The rows of some buckets, in ascending order, as a stream."""
        ...

    def sequences(self, address: SecretStr, database: str) -> tuple[SequenceValue, ...]: ...
    def set_sequences(
        self, address: SecretStr, database: str, values: Iterable[tuple[SequenceValue, int]]
    ) -> Mapping[Name, str]:
        """Have sequences continue behind a value; the same again changes nothing. The only call that writes.

        Returns:
            those that Postgres refused, with its reason.
        """
        ...
