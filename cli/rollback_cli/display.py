"""Tables of releases and rollbacks, and a rollback's report, in a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import release_label
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings
from rollback.errors import UnreadableItem
from rollback.reports.approval import waiting_in_words
from rollback.reports.report import message
from rollback.workflow.route import next_step
from rollback_cli.terminal_text import print_paragraph, table_cell

_COLOURS = {
    ReleaseState.PROMOTED: "green",
    ReleaseState.CANDIDATE: "yellow",
    ReleaseState.SUSPECT: "red",
    ReleaseState.QUARANTINED: "red",
}


def print_releases(console: Console, releases: Iterable[Release], running_fingerprint: str | None) -> None:
    """Print a table of releases, newest first, by names that mean one release each; `▶` marks the running release."""
    first, fingerprint = Column("first deployed (UTC)", no_wrap=True), Column("fingerprint", no_wrap=True)
    table = Table("", Column("name", no_wrap=True), "state", first, "reason", "schema", fingerprint)
    all_releases = tuple(releases)
    for release in all_releases:
        table.add_row(
            "▶" if release.fingerprint == running_fingerprint else "",
            table_cell(release_label(release, all_releases)),
            table_cell(release.state, _COLOURS[release.state]),
            f"{release.first_deployed_at:%Y-%m-%d %H:%M:%S}",
            table_cell(release.state_reason),
            "known" if release.schema_sha256 is not None else "—",
            release.fingerprint[:12],
        )
    console.print(table)


def print_rollbacks(console: Console, history: Iterable[Rollback | UnreadableItem]) -> None:
    """Print a table of rollbacks, newest first."""
    table = Table(Column("id", no_wrap=True), "trigger", "outcome", "from → to", Column("reason", max_width=60))
    for rollback in history:
        if isinstance(rollback, UnreadableItem):
            table.add_row(escape(rollback.key.rpartition("#")[2]), "", "unreadable", "", escape(rollback.why))
            continue
        plan = rollback.plan
        from_to = f"{plan.running.version} → {plan.target.version if plan.target else '—'}" if plan else ""
        table.add_row(
            rollback.id,
            rollback.trigger.replace("_", " "),
            _state_in_words(rollback),
            table_cell(from_to),
            table_cell(waiting_in_words(rollback) or rollback.reason),
        )
    console.print(table)


def _state_in_words(rollback: Rollback) -> str:
    if rollback.outcome is not None:
        return str(rollback.outcome)
    return "open: approval" if rollback.is_at_gate else f"open: {next_step(rollback).replace('_', ' ')}"


def print_report(console: Console, rollback: Rollback, settings: Settings) -> None:
    """Print the whole report of a rollback."""
    for line in message(rollback, settings.service(rollback.service_name)).split("\n"):
        print_paragraph(line, console)
