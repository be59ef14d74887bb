"""`rollback history`: the rollbacks of an environment, newest first."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from rollback.domain.rollback import Rollback
from rollback.errors import UnreadableItem
from rollback.reports.approval import waiting_in_words
from rollback.workflow.route import next_step
from rollback_cli.output.document import Document, Line, Part
from rollback_cli.output.records import format_records
from rollback_cli.output.tables import Cell, Column, print_table

if TYPE_CHECKING:
    from rich.console import Console

_UNREADABLE = "unreadable"
_STYLES = {"succeeded": "green", "failed": "red", "aborted": "red", _UNREADABLE: "yellow"}
_COLUMNS = (Column("id"), Column("trigger"), Column("outcome"), Column("from → to"), Column("reason", is_text=True))
_HEADER = (
    "service",
    "id",
    "created_at",
    "trigger",
    "type",
    "state",
    "from",
    "to",
    "concluded_at",
    "duplicate",
    "reason",
)


class ListedRollback(Part):
    """A rollback of the list. A record that can't be read has its id and `unreadable` only."""

    id: Line
    state: Line = Field(description="the outcome; else `open: <step>`; `unreadable` if the record can't be read")
    outcome: Line | None = Field(default=None, description="null: the rollback has not ended")
    reason: Line = Field(default="", description="why it has its state")
    trigger: Line | None = None
    type: Line | None = None
    running_version: Line | None = Field(default=None, description="release that ran; null: there is no plan")
    target_version: Line | None = Field(default=None, description="release to go back to; null: no plan or no target")
    created_at: AwareDatetime | None = None
    concluded_at: AwareDatetime | None = None
    is_drill: bool | None = None
    is_duplicate: bool | None = Field(default=None, description="another rollback had taken the same event")
    unreadable: Line | None = Field(default=None, description="why the record can't be read")


class ServiceHistory(Part):
    """The rollbacks of one service, newest first."""

    service: Line
    rollbacks: tuple[ListedRollback, ...]
    next_before: Line | None = Field(description="value of --before that lists older rollbacks; null: there are none")


class History(Document):
    """Output of `rollback history`."""

    environment: Line
    is_drills_only: bool
    services: tuple[ServiceHistory, ...]


def list_rollback(record: Rollback | UnreadableItem) -> ListedRollback:
    """Describe one record of the ledger."""
    if isinstance(record, UnreadableItem):
        rollback_id = record.key.rpartition("#")[2]
        return ListedRollback(id=rollback_id, state=_UNREADABLE, reason=record.why, unreadable=record.why)
    plan = record.plan
    return ListedRollback(
        id=record.id,
        state=state_in_words(record),
        outcome=record.outcome,
        reason=waiting_in_words(record) or record.reason,
        trigger=record.trigger,
        type=record.request.type,
        running_version=plan.running.version if plan is not None else None,
        target_version=plan.target.version if plan is not None and plan.target is not None else None,
        created_at=record.created_at,
        concluded_at=record.concluded_at,
        is_drill=record.is_drill,
        is_duplicate=record.is_duplicate,
    )


def list_page(service: str, records: Iterable[Rollback | UnreadableItem], limit: int) -> ServiceHistory:
    """Build a page of at most `limit` records. A further record says that there are older ones."""
    all_records = list(islice(records, limit + 1))
    rollbacks = tuple(map(list_rollback, all_records[:limit]))
    return ServiceHistory(
        service=service,
        rollbacks=rollbacks,
        next_before=rollbacks[-1].id if len(all_records) > limit and rollbacks else None,
    )


def print_history(history: History, console: "Console") -> None:
    """Print a table for each service, without duplicates, and the command that lists older rollbacks."""
    for service in history.services:
        shown = [rollback for rollback in service.rollbacks if not rollback.is_duplicate]
        hidden = len(service.rollbacks) - len(shown)
        if len(history.services) > 1:
            console.print(service.service, style="bold", markup=False)
        if shown:
            print_table(console, _COLUMNS, map(_row, shown))
        elif not hidden:
            console.print("no drills" if history.is_drills_only else "no rollbacks")
        if hidden:
            text = f"{hidden} suppressed duplicate{'s' if hidden > 1 else ''} of these events not shown; --output json"
            console.print(text, style="dim", soft_wrap=True)
        if service.next_before is not None:
            console.print(_older_command(history, service.next_before), markup=False, soft_wrap=True)


def history_records(history: History) -> Iterator[str]:
    """List all rollbacks, duplicates too, a record each."""
    records = (
        (
            service.service,
            rollback.id,
            rollback.created_at,
            rollback.trigger,
            rollback.type,
            rollback.state,
            rollback.running_version,
            rollback.target_version,
            rollback.concluded_at,
            rollback.is_duplicate,
            rollback.reason,
        )
        for service in history.services
        for rollback in service.rollbacks
    )
    return format_records(_HEADER, records)


def _row(rollback: ListedRollback) -> tuple[Cell, ...]:
    has_plan = rollback.running_version is not None
    return (
        Cell(rollback.id),
        Cell((rollback.trigger or "").replace("_", " ")),
        Cell(rollback.state, _STYLES.get(rollback.state, "yellow" if rollback.outcome is None else "")),
        Cell(f"{rollback.running_version} → {rollback.target_version or '—'}" if has_plan else ""),
        Cell(rollback.reason),
    )


def state_in_words(rollback: Rollback) -> str:
    """Return the outcome of a rollback, or the step that it is at."""
    if rollback.outcome is not None:
        return str(rollback.outcome)
    return "open: approval" if rollback.is_at_gate else f"open: {next_step(rollback).replace('_', ' ')}"


def _older_command(history: History, before: str) -> str:
    option = " --drills" if history.is_drills_only else ""
    return f"older rollbacks: rollback history {history.environment}{option} --before {before}"
