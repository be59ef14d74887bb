"""What is kept about the schema of a release, to tell later whether it can work with another one."""

from pydantic import BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of
from rollback.domain.database.migration_impact import MigrationImpact
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration


class ShippedMigration(BaseModel):
    """A migration as the release's repository has it; recorded by the pipeline, which alone has the files.

    Attributes:
        tag: its name for people; in Drizzle's journal the file's without `.sql`.
        created_at: the journal's `when`, in milliseconds; Drizzle applies what is newer than the newest applied. Of
            other tools: its place among the release's files.
        hash: hex SHA-256 of the file as it is, which is how Drizzle's table calls it (drizzle-orm, `migrator.ts`).
        tool: a `migration_tools.MigrationTool`, by which a journal's row finds its file.
        id: as the tool's journal calls it; None: Drizzle's is its hash.
        checksum: as the tool's journal has it; None: it has none, or it can't be told from the file.
        after: ids of those that it stands on, where the journal has the newest only (Alembic).
        has_down: `<tag>.down.sql` lies beside it (a convention of ours).
        down_impact: the class of that file, told in the same way; None: there is none, or nobody told.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    tag: str
    created_at: int
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    impact: MigrationImpact
    has_down: bool = False
    down_impact: MigrationImpact | None = None
    # Left out where they are Drizzle's: the digest of what an older version stored stays what it was.
    tool: str = Field(default="drizzle", exclude_if=lambda value: value == "drizzle")
    id: str | None = Field(default=None, exclude_if=lambda value: value is None)
    checksum: str | None = Field(default=None, exclude_if=lambda value: value is None)
    after: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)


class ReleaseSchema(BaseModel):
    """Each part may be missing: a release older than us, no pipeline, a database without a journal.

    Attributes:
        shipped: all migrations in the release's repository, oldest first.
        journal: what the database had applied when the release ran and was good.
        recorded_schema: the structure at that moment.
        has_searched_all_journals: the journals of all known tools were looked for, not Drizzle's alone as older
        versions did:
            only then `journal=None` tells that there is none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    shipped: tuple[ShippedMigration, ...] | None = None
    journal: tuple[Migration, ...] | None = None
    recorded_schema: LiveSchema | None = None
    has_searched_all_journals: bool = Field(default=False, exclude_if=lambda value: not value)

    @property
    def sha256(self) -> str:
        """Its key: hex, the same for the same content."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def expected_journal(self) -> tuple[Migration, ...] | None:
        """What it was good with; of what it ships, if that was never seen; None: not known.

        Only Drizzle's files tell what their rows will be.
        """
        if self.journal is not None:
            return self.journal
        if self.shipped is None or any(one.tool != "drizzle" for one in self.shipped):
            return None
        return tuple(Migration(hash=one.hash, created_at=one.created_at) for one in self.shipped)
