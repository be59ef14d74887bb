"""Releases as a table in a terminal, and as records."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rollback_cli.output.records import format_records
from rollback_cli.output.tables import Cell, Column, print_table
from rollback_cli.output.versions.document import ListedRelease, ServiceVersions, Versions

if TYPE_CHECKING:
    from rich.console import Console

_STATE_STYLES = {"promoted": "green", "candidate": "yellow", "suspect": "red", "quarantined": "red"}
_IMAGE_STYLES = {"missing": "red", "archived": "red", "not looked at": "yellow"}
_COLUMNS = (
    Column(""),
    Column("name"),
    Column("state"),
    Column("image"),
    Column("deployed (UTC)"),
    Column("fingerprint", is_optional=True),
    Column("schema", is_optional=True),
    Column("reason", is_text=True),
)
_HEADER = (
    "service",
    "name",
    "state",
    "running",
    "target",
    "image",
    "first_deployed_at",
    "schema",
    "fingerprint",
    "commit",
    "reason",
)


def print_versions(versions: Versions, console: "Console") -> None:
    """Print a table for each service. `▶` marks the running release, `←` the last known good, the rollback target."""
    for service in versions.services:
        if len(versions.services) > 1:
            console.print(service.service, style="bold", markup=False)
        if service.releases:
            print_table(console, _COLUMNS, map(_row, service.releases))
        else:
            console.print("the ledger has no releases")
        for line in _remarks(service):
            console.print(line, style="yellow", markup=False, soft_wrap=True)
        if service.has_more:
            command = f"older releases: rollback versions {versions.environment} --limit {versions.limit * 2}"
            console.print(command, markup=False, soft_wrap=True)


def _remarks(service: ServiceVersions) -> Iterator[str]:
    """Say what was not looked at, and which images ECS can't pull, with the reasons."""
    for failure in service.not_read:
        yield f"not looked at: {failure.part}: {failure.reason}"
    for release in service.releases:
        for image in release.images:
            if image.status in ("missing", "archived"):
                yield f"{release.name}: container {image.container}: {image.status}: {image.reason}"


def version_records(versions: Versions) -> Iterator[str]:
    """List all releases, a record each."""
    records = (
        (
            service.service,
            release.name,
            release.state,
            release.is_running,
            release.is_rollback_target,
            release.image_status,
            release.first_deployed_at,
            release.has_schema,
            release.fingerprint,
            release.commit,
            release.reason,
        )
        for service in versions.services
        for release in service.releases
    )
    return format_records(_HEADER, records)


def _row(release: ListedRelease) -> tuple[Cell, ...]:
    mark = (
        "▶" if release.is_running else "?" if release.is_running is None else "←" if release.is_rollback_target else ""
    )
    return (
        Cell(mark),
        Cell(release.name),
        Cell(release.state, _STATE_STYLES.get(release.state, "")),
        Cell(release.image_status, _IMAGE_STYLES.get(release.image_status, "")),
        Cell(f"{release.first_deployed_at:%Y-%m-%d %H:%M}"),
        Cell(release.fingerprint[:12]),
        Cell("known" if release.has_schema else "—"),
        Cell(release.reason),
    )
