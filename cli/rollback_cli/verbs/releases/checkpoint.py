"""`rollback checkpoint ENV --version V`: for pipelines, right before they run migrations."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from rollback.domain.database.migration_tools import MigrationTool
from rollback.operations import checkpoint as made
from rollback.resources.database.errors import RetryLater
from rollback_cli import deployed, lever
from rollback_cli.migrations.shipped import read_shipped

_MAX_ATTEMPTS, _PAUSE_SECONDS = 12, 5  # a sleeping compute wakes up within a minute


def checkpoint(
    environment: str,
    version: Annotated[str, typer.Option(help="that is about to be deployed: the image's tag, or its APP_VERSION")],
    service: lever.Service = None,
    migrations: Annotated[
        Path | None, typer.Option(help="the version's folder of migrations; without it nobody can tell what they do")
    ] = None,
    tool: Annotated[
        MigrationTool | None, typer.Option(help="whose migrations these are; told by the files, if it is left out")
    ] = None,
    sql: Annotated[
        Path | None, typer.Option(help="a folder with the SQL of migrations that are code, such as sqlmigrate writes")
    ] = None,
) -> None:
    """Record where the database stands, so that a rollback can take it back to before this version."""
    here = deployed.find(environment)
    name = here.settings.service_or_only(service).name
    shipped = read_shipped(migrations, tool, sql) if migrations is not None else None
    world = here.world()
    recorded = with_retry(lambda: made.checkpoint(name, version, shipped, world))
    for line in _lines(recorded):
        lever.print_paragraph(line)


def with_retry(ask: Callable[[], made.Checkpoint], sleep: Callable[[float], None] = time.sleep) -> made.Checkpoint:
    """Ask again while the database wakes up, or Neon is busy.

    Raises:
        RetryLater: it still is after a minute.
    """
    for _ in range(_MAX_ATTEMPTS - 1):
        try:
            return ask()
        except RetryLater:
            sleep(_PAUSE_SECONDS)
    return ask()


def _lines(recorded: made.Checkpoint) -> Iterator[str]:
    point = recorded.point
    yield f"restore point before {point.version} of {point.service}: {point.lsn}, {point.at:%Y-%m-%d %H:%M:%S} UTC"
    for line in recorded.journals:
        yield f"journal: {line}"
    for line in recorded.unfinished:
        yield f"attention: {line}; whether older releases can work with the database will be unknown"
    if recorded.new is None or recorded.impact is None:
        yield "migrations: not told (--migrations DIR); whether older releases can work with them will be unknown"
        return
    if not recorded.new:
        yield f"migrations: none is new, the database has all {len(point.shipped or ())}"
        return
    if any(one.tool == MigrationTool.SQL for one in recorded.new):
        yield f"migrations: {len(recorded.new)} files; a plain folder has no journal, so all are told as new"
    downs = sum(one.has_down for one in recorded.new)
    yield f"migrations: {len(recorded.new)} new, together {recorded.impact.impact}; {downs} with a down file"
    for one in recorded.new:
        why = f": {'; '.join(one.impact.reasons)}" if one.impact.reasons else ""
        yield f"  {one.tag}  {one.impact.impact}{why}"
