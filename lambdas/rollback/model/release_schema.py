"""What is kept about the schema of a release, to tell later whether it can work with another one."""

from pydantic import BaseModel, ConfigDict, Field

from rollback.model.database_content import LiveSchema, Migration
from rollback.model.release import sha256_of
from rollback.model.statement_impact import MigrationImpact


class ShippedMigration(BaseModel):
    """A migration as the release's repository has it; recorded by the pipeline, which alone has the files.

    Attributes:
        tag: its name in Drizzle's journal, the file's without `.sql`.
        created_at: the journal's `when`, in milliseconds; Drizzle applies what is newer than the newest applied.
        hash: hex SHA-256 of the file as it is, which is how Drizzle's table calls it (drizzle-orm, `migrator.ts`).
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


class ReleaseSchema(BaseModel):
    """Each part may be missing: a release older than us, no pipeline, a database without a journal.

    Attributes:
        shipped: all migrations in the release's repository, oldest first.
        journal: what the database had applied when the release ran and was good.
        ran_on: the structure at that moment.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    shipped: tuple[ShippedMigration, ...] | None = None
    journal: tuple[Migration, ...] | None = None
    ran_on: LiveSchema | None = None

    @property
    def sha256(self) -> str:
        """Its key: hex, the same for the same content."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def expects(self) -> frozenset[tuple[int, str]] | None:
        """`(created_at, hash)` of what it was good with; of what it ships, if that was never seen; None: not known."""
        known: tuple[Migration, ...] | tuple[ShippedMigration, ...] | None = self.journal
        known = self.shipped if known is None else known
        return None if known is None else frozenset((one.created_at, one.hash) for one in known)
