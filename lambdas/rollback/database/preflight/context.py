"""The context of a restore: the branch, Neon, SQL, and the function that judges the preview."""

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
"""Judges the tables and the migration journal (None: no journal) at the restore point; a FAIL refuses the restore."""


def accept_any_schema(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:  # noqa: ARG001
    """Accept every schema: it is enough that Postgres answers at the restore point."""
    return ()


@dataclass(frozen=True)
class RestoreContext:
    """Ports of the database function, passed explicitly because no other function has them."""

    target: RestoreTarget
    databases: Databases
    sql: Sql
    judge_preview: PreviewJudge = accept_any_schema

    def address(self, branch_id: str) -> SecretStr:
        """Connection URI of the application's database on a branch, at the direct host.

        Never stored, because each branch may have its own password.
        """
        return self.databases.connection_uri(branch_id, self.target.database, self.target.role)
