"""Whether a report tells exactly what a restore took out of the stage's branch: held against the branches by SQL."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback_cli.demo.data import BILLING

if TYPE_CHECKING:  # with the driver, for who needs it
    from rollback_cli.demo.database import DemoDatabase

_SEQUENCE = "users_id_seq"
_DOWNTIME_LINE = re.compile(r"at zero tasks .*\d+ s")


@dataclass(frozen=True)
class ExpectedLoss:
    """Rows that only the backup has, and rows that are as they were before: told in one line of the report.

    `may_be_hidden`: by row security; then the report may say that it did not look, and why.
    """

    names: tuple[str, ...]
    gone: int
    changed: int = 0
    may_be_hidden: bool = False

    def is_reported_in(self, text: str) -> bool:
        """A line with these names has these numbers."""
        lines = [line for line in text.splitlines() if all(name in line for name in self.names)]
        if self.may_be_hidden and any("not looked at" in line and "row security" in line for line in lines):
            return True
        return any(_has("gone", self.gone, line) and _has("changed", self.changed, line) for line in lines)


def _has(word: str, number: int, line: str) -> bool:
    """`gone: 3 (…)`; of nothing changed nothing needs to be said."""
    return number == 0 or re.search(rf"{word}[^;]*?\b{number:,}\b|{word}[^;]*?\b{number}\b", line) is not None


def count_expected_losses(database: "DemoDatabase", backup_id: str) -> tuple[ExpectedLoss, ...]:
    """Count the rows of each table that are gone, and those that are as they were."""

    def missing(table: str, of: str = "") -> int:
        ids = f"SELECT id FROM {table}"  # noqa: S608 - a constant
        named = {"database": of} if of else {}
        before, after = (set(database.query(b, ids, **named)) for b in (backup_id, database.branch_id))
        return len(before - after)

    def rows(branch_id: str, of: str) -> int:
        return int(database.query(branch_id, f"SELECT count(*) FROM {of}")[0][0])  # noqa: S608 - constants

    return (
        ExpectedLoss(("public.users",), missing("users")),
        ExpectedLoss(("public.audit",), rows(backup_id, "audit") - rows(database.branch_id, "audit")),
        ExpectedLoss(("public.notes",), missing("notes"), may_be_hidden=True),
        ExpectedLoss((BILLING, "invoices"), missing("invoices", BILLING)),
        ExpectedLoss(("public.measurements",), 0, rows(backup_id, "measurements WHERE value = -1")),
    )


def find_unreported(text: str, losses: tuple[ExpectedLoss, ...]) -> Iterator[str]:
    """Name each fact that a report lacks."""
    for one in losses:
        if not one.is_reported_in(text):
            yield f"{'.'.join(one.names)}: {one.gone} rows gone, {one.changed} changed back"
    if _SEQUENCE not in text:
        yield f"where {_SEQUENCE} continues"
    if not _DOWNTIME_LINE.search(text):
        yield "how long the service stood at zero tasks"


def count_reused_ids(database: "DemoDatabase", backup_id: str) -> int:
    """Rows on the restored branch that have the id of another row, one that was lost."""
    statement = "SELECT id, created_at FROM users"
    before, after = (dict(database.query(branch, statement)) for branch in (backup_id, database.branch_id))
    return sum(1 for id_, made in after.items() if id_ in before and before[id_] != made)
