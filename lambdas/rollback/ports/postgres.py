"""Port to Postgres, by SQL."""

from collections.abc import Generator, Iterable, Mapping
from typing import Protocol

from pydantic import SecretStr

from rollback.domain.database.sequences import Name, SequenceValue
from rollback.effects import changes_state, reads
from rollback.resources.database.background_work import BackgroundWork
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.postgres import ClientSession, WalPosition
from rollback.resources.database.probe import SessionTimes
from rollback.resources.database.relation import BranchDatabase, Bucket, Relation, RowQuery
from rollback.resources.database.row_comparison import RowDigest
from rollback.resources.database.statement import StatementResult


class Sql(Protocol):
    """SQL on a branch. `address` is a connection URI of the direct host.

    Every method may raise these errors of `resources.database.errors`:
        Unreachable: no session came about, or it ended. A suspended compute may still be starting. Call again.
        SessionRefused: Postgres or Neon refuses every session of this address.
        QueryFailed: Postgres refused the query, or it took too long.
    """

    @reads
    def head(self, address: SecretStr) -> WalPosition:
        """Return the end of the write-ahead log, the database's time and Neon's timeline of both."""
        ...

    @reads
    def measure(self, address: SecretStr) -> SessionTimes:
        """Open a session, send one short query, and return the duration of both."""
        ...

    @reads
    def client_sessions(self, address: SecretStr) -> tuple[ClientSession, ...]:
        """List the sessions that may write to any database of the branch, background workers too.

        Rule 8: a fence holds when no such session is left. This session and Neon's own are not listed.
        """
        ...

    @reads
    def background_work(self, address: SecretStr) -> BackgroundWork:
        """Read the replication slots, subscriptions and scheduled jobs of all databases of the branch."""
        ...

    @reads
    def last_activity(self, address: SecretStr) -> Mapping[str, float]:
        """Return `application_name` → seconds since a session of that name last began or ran something.

        The database's clock measures the seconds. A missing name proves nothing.
        """
        ...

    @reads
    def live_schema(self, address: SecretStr) -> LiveSchema:
        """Read everything in the schema that decides what a statement may do."""
        ...

    @reads
    def migrations(self, address: SecretStr) -> tuple[Migration, ...] | None:
        """List the migrations in the journals of migration tools, each journal oldest first.

        None means that the database has no journal.
        """
        ...

    @reads
    def answers(
        self, address: SecretStr, statements: tuple[str, ...], statement_seconds: float
    ) -> tuple[StatementResult, ...]:
        """Run queries one after the other, each in a read-only transaction of its own.

        Postgres refuses a write, and a second statement in a text. Such a refusal is a result, not an error.

        Args:
            address: connection URI.
            statements: one query each.
            statement_seconds: time after which Postgres cancels a query.
        """
        ...

    @reads
    def databases(self, address: SecretStr) -> tuple[BranchDatabase, ...]:
        """List all databases of the branch; a restore takes every one of them back."""
        ...

    @reads
    def relations(self, address: SecretStr, database: str) -> tuple[Relation, ...]:
        """List everything that holds rows in one database, by name, without Postgres's and Neon's own relations."""
        ...

    @reads
    def count(self, address: SecretStr, row_query: RowQuery) -> int:
        """Count the rows of a relation."""
        ...

    @reads
    def buckets(self, address: SecretStr, row_query: RowQuery) -> Mapping[int, Bucket]:
        """Return the number and the digest of the rows in each of 16,384 buckets."""
        ...

    @reads
    def rows(
        self, address: SecretStr, row_query: RowQuery, buckets: tuple[int, ...]
    ) -> Generator[RowDigest, None, None]:
        """Stream the rows of some buckets in ascending order."""
        ...

    @reads
    def sequences(self, address: SecretStr, database: str) -> tuple[SequenceValue, ...]:
        """List all sequences of one database with their last values."""
        ...

    @changes_state
    def set_sequences(
        self, address: SecretStr, database: str, values: Iterable[tuple[SequenceValue, int]]
    ) -> Mapping[Name, str]:
        """Continue each sequence behind a value. No other method writes; a repeated call changes nothing.

        Returns:
            The sequences that Postgres refused to set, each with its reason.
        """
        ...
