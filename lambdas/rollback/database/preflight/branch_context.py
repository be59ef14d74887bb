"""The branch that a database change is about: its settings, the ports to Neon and SQL, and the check of its tables."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from rollback.check import Check
from rollback.domain.database.branch_settings import BranchSettings
from rollback.ports.neon import NeonProject
from rollback.ports.postgres import Sql
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration

TableCheck = Callable[[LiveSchema, tuple[Migration, ...] | None], tuple[Check, ...]]
"""Judges the tables and the migration journal (None: no journal) that a database change leads to. A FAIL stops it.

They are read on the preview of a restore, the source of a reset or recreate, a recreated branch, or a migrated branch.
"""


def accept_any_schema(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:  # noqa: ARG001
    """Accept every schema: it is enough that Postgres answers."""
    return ()


@dataclass(frozen=True)
class BranchContext:
    """Settings of one branch with the ports of the database function, which no other function has."""

    settings: BranchSettings
    neon: NeonProject
    sql: Sql
    check_tables: TableCheck = accept_any_schema

    def address(self, branch_id: str) -> SecretStr:
        """Connection URI of the application's database on a branch, at the direct host.

        Never stored, because each branch may have its own password.
        """
        return self.neon.connection_uri(branch_id, self.settings.database, self.settings.role)
