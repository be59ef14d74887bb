"""The database's part of a plan: which branch goes where, and by which strategy."""

from pydantic import BaseModel, ConfigDict, Field

from rollback.domain.database.progress import RestorePoint
from rollback.domain.settings.database import Strategy


class DatabasePlan(BaseModel):
    """Decisions about the database, made before anything is changed.

    Attributes:
        strategy: never `auto`.
        branch: Neon's id; for a pull request's branch, its name.
        point: restore point; None: the strategy is no restore.
        source_branch_id: source of a reset or recreate; for an undo the backup branch.
        migrations: tags to step down, newest first.
        schema_sha256: key of the schema whose tables must exist afterwards; None: not known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    strategy: Strategy
    branch: str
    point: RestorePoint | None = None
    source_branch_id: str | None = None
    migrations: tuple[str, ...] = ()
    schema_sha256: str | None = None
    undone_rollback_id: str | None = Field(default=None, description="rollback whose backup branch is the source")
    reconnecting_services: tuple[str, ...] = Field(
        default=(), description="services that get new connections afterwards, in this order; an older plan has none"
    )

    @property
    def in_words(self) -> str:
        """The state that the data goes to."""
        match self.strategy:
            case Strategy.RESTORE if self.point is not None:
                return f"database to {self.point.at:%Y-%m-%d %H:%M:%S} UTC"
            case Strategy.DOWN_MIGRATIONS:
                return f"database down by {', '.join(self.migrations)}"
            case Strategy.DELETE:
                return f"database branch {self.branch} deleted"
            case _ if self.undone_rollback_id is not None:
                return f"database to what it was before {self.undone_rollback_id}"
            case _:
                return f"database {self.strategy} from {self.source_branch_id}"
