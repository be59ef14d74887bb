"""The schema recorded for a release, from which a later rollback judges whether the release can work with another."""

from pydantic import BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of
from rollback.domain.database.migration_impact import MigrationImpact
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration


class ShippedMigration(BaseModel):
    """A migration in a release's repository, recorded by the pipeline, which alone has the files.

    Attributes:
        tag: its name for an operator; in Drizzle's journal the file name without `.sql`.
        created_at: the journal's `when` in milliseconds: Drizzle applies migrations newer than the newest applied one.
            For other tools the migration's place among the release's files.
        hash: hex SHA-256 of the file, which is also the hash in Drizzle's table (drizzle-orm, `migrator.ts`).
        impact: class of the migration.
        has_down: a file `<tag>.down.sql` lies beside the migration (our own convention).
        down_impact: class of that file; None: there is no such file, or the pipeline did not classify it.
        tool: a `migration_journal.MigrationTool`, by which a journal's row finds its file.
        id: name in the tool's journal; None: Drizzle's name is the hash.
        checksum: checksum in the tool's journal; None: the tool has none, or the file does not contain it.
        after: ids of the migrations that this one depends on, for a journal of heads only (Alembic).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    tag: str
    created_at: int
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    impact: MigrationImpact
    has_down: bool = False
    down_impact: MigrationImpact | None = None
    # Left out of the JSON where they are Drizzle's: so the digest of an older document stays the same.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    id: str | None = Field(default=None, exclude_if=lambda value: value is None)
    checksum: str | None = Field(default=None, exclude_if=lambda value: value is None)
    after: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)


class ReleaseSchema(BaseModel):
    """Recorded schema of a release; each part may be missing.

    Attributes:
        shipped: all migrations in the release's repository, oldest first; None: the pipeline recorded none.
        journal: rows of all journals when the release ran and was good; None: there was no journal.
        recorded_schema: the structure at that moment; None: it was not read.
        has_searched_all_journals: the journals of all known tools were searched for. Older versions searched for
            Drizzle's alone. Only a full search makes `journal=None` a proof that there is no journal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    shipped: tuple[ShippedMigration, ...] | None = None
    journal: tuple[Migration, ...] | None = None
    recorded_schema: LiveSchema | None = None
    has_searched_all_journals: bool = Field(default=False, exclude_if=lambda value: not value)

    @property
    def sha256(self) -> str:
        """Key in the ledger: a hex digest of the content."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def expected_journal(self) -> tuple[Migration, ...] | None:
        """The journal that the release was good with, else the rows that its files will have; None: not known.

        Only the rows of Drizzle's files are known ahead.
        """
        if self.journal is not None:
            return self.journal
        if self.shipped is None or any(file.tool != "drizzle" for file in self.shipped):
            return None
        return tuple(Migration(hash=file.hash, created_at=file.created_at) for file in self.shipped)
