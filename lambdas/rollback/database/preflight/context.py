"""What a restore works with: the branch, Neon, SQL, and who judges the restore point."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from rollback.check import Check
from rollback.domain.database.restore_target import RestoreTarget
from rollback.ports.neon import Databases
from rollback.ports.postgres import Sql
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration

PreviewJudge = Callable[[LiveSchema, tuple[Migration, ...] | None], tuple[Check, ...]]
"""From the tables and the journal at the restore point (None: it has no journal): a FAIL refuses the restore."""


def accept_any_schema(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:  # noqa: ARG001
    """That SQL answers there is enough."""
    return ()


@dataclass(frozen=True)
class RestoreContext:
    """Explicit, since only the database function has them."""

    target: RestoreTarget
    databases: Databases
    sql: Sql
    judge_preview: PreviewJudge = accept_any_schema

    def address(self, branch_id: str) -> SecretStr:
        """Of the application's database there, on the direct host. Never kept: a branch may have its own password."""
        return self.databases.connection_uri(branch_id, self.target.database, self.target.role)
