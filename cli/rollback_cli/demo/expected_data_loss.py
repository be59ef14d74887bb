"""Check that a data loss report states exactly what a restore removed from the branch, by counting rows with SQL."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback_cli.demo.database.seed import BILLING

if TYPE_CHECKING:  # imports psycopg, which most scenarios don't need
    from rollback_cli.demo.database.neon_project import DemoDatabase

_SEQUENCE = "users_id_seq"
_DOWNTIME_LINE = re.compile(r"at zero tasks .*\d+ s")


@dataclass(frozen=True)
class ExpectedLoss:
    """Numbers of rows that one line of the report must state about a table.

    Attributes:
        names: words that the line has: the table, and its database if it isn't the service's.
        gone: rows that only the backup branch has.
        changed: rows that have their old values again.
        may_be_hidden: whether row security may hide the rows; then the report may say that they were not compared.
    """

    names: tuple[str, ...]
    gone: int
    changed: int = 0
    may_be_hidden: bool = False

    def is_reported_in(self, text: str) -> bool:
        """Return whether a line of the text has these names and these numbers."""
        lines = [line for line in text.splitlines() if all(name in line for name in self.names)]
        if self.may_be_hidden and any("not compared" in line and "row security" in line for line in lines):
            return True
        return any(_states("gone", self.gone, line) and _states("changed", self.changed, line) for line in lines)


def _states(word: str, number: int, line: str) -> bool:
    """Return whether a line has the word with its number, as in `gone: 3 (…)`; 0 need not be stated."""
    return number == 0 or re.search(rf"{word}[^;]*?\b{number:,}\b|{word}[^;]*?\b{number}\b", line) is not None


def count_expected_losses(database: "DemoDatabase", backup_id: str) -> tuple[ExpectedLoss, ...]:
    """Count, for each table, the rows that are gone and the rows that have their old values again."""

    def count_missing(table: str, database_name: str = "") -> int:
        select_ids = f"SELECT id FROM {table}"  # noqa: S608 - a constant
        database_argument = {"database": database_name} if database_name else {}
        backup_ids, branch_ids = (
            set(database.query(b, select_ids, **database_argument)) for b in (backup_id, database.branch_id)
        )
        return len(backup_ids - branch_ids)

    def count(branch_id: str, table: str) -> int:
        return int(database.query(branch_id, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - constants

    return (
        ExpectedLoss(("public.users",), count_missing("users")),
        ExpectedLoss(("public.audit",), count(backup_id, "audit") - count(database.branch_id, "audit")),
        ExpectedLoss(("public.notes",), count_missing("notes"), may_be_hidden=True),
        ExpectedLoss((BILLING, "invoices"), count_missing("invoices", BILLING)),
        ExpectedLoss(("public.measurements",), 0, count(backup_id, "measurements WHERE value = -1")),
    )


def find_unreported(text: str, losses: tuple[ExpectedLoss, ...]) -> Iterator[str]:
    """Name each fact that a report lacks."""
    for loss in losses:
        if not loss.is_reported_in(text):
            yield f"{'.'.join(loss.names)}: {loss.gone} rows gone, {loss.changed} changed back"
    if _SEQUENCE not in text:
        yield f"the value from which {_SEQUENCE} continues"
    if not _DOWNTIME_LINE.search(text):
        yield "how long the service was at zero tasks"


def count_reused_ids(database: "DemoDatabase", backup_id: str) -> int:
    """Count the rows of the restored branch that have the id of a lost row."""
    statement = "SELECT id, created_at FROM users"
    in_backup, on_branch = (dict(database.query(branch, statement)) for branch in (backup_id, database.branch_id))
    return sum(1 for id_, created_at in on_branch.items() if id_ in in_backup and in_backup[id_] != created_at)
