"""`rollback checkpoint ENV --version V`: for pipelines, right before they run migrations."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from rollback.operations import checkpoint as operation
from rollback.resources.database.errors import RetryLater
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli import deployed_stack
from rollback_cli.migrations.read_migrations import read_migrations
from rollback_cli.operator_options import Environment, Service
from rollback_cli.terminal_text import print_paragraph

_MAX_ATTEMPTS, _PAUSE_SECONDS = 12, 5  # a suspended compute starts within a minute


def checkpoint(
    environment: Environment,
    version: Annotated[
        str, typer.Option(help="version that is about to be deployed: the image's tag, or its APP_VERSION")
    ],
    service: Service = None,
    migrations: Annotated[
        Path | None, typer.Option(help="folder with the version's migrations; without it their effect is unknown")
    ] = None,
    tool: Annotated[
        MigrationTool | None, typer.Option(help="tool that wrote the migrations; default: detected from the files")
    ] = None,
    sql: Annotated[
        Path | None,
        typer.Option(help="folder with the SQL of migrations that are written in code, such as sqlmigrate prints"),
    ] = None,
) -> None:
    """Record the database's position, so that a rollback can restore it to before this version's migrations.

    The checkpoint reads the migrations and the database; it changes neither.
    """
    deployment = deployed_stack.find_deployment(environment)
    name = deployment.settings.service_or_only(service).name
    shipped = read_migrations(migrations, tool, sql) if migrations is not None else None
    ports = deployment.ports()
    result = with_retry(lambda: operation.checkpoint(name, version, shipped, ports))
    for line in _describe(result):
        print_paragraph(line)


def with_retry(
    record: Callable[[], operation.Checkpoint], sleep: Callable[[float], None] = time.sleep
) -> operation.Checkpoint:
    """Try again while the database's compute starts or Neon is busy.

    Raises:
        RetryLater: neither has changed after a minute.
    """
    for _ in range(_MAX_ATTEMPTS - 1):
        try:
            return record()
        except RetryLater:
            sleep(_PAUSE_SECONDS)
    return record()


def _describe(result: operation.Checkpoint) -> Iterator[str]:
    point = result.point
    yield f"restore point before {point.version} of {point.service}: {point.lsn}, {point.at:%Y-%m-%d %H:%M:%S} UTC"
    if result.why_not_examined:
        yield f"attention: whether a rollback can deploy the service was not looked at: {result.why_not_examined}"
    for line in result.journals:
        yield f"journal: {line}"
    for line in result.unfinished:
        yield f"attention: {line}; whether older releases can work with the database will be unknown"
    if result.new is None or result.impact is None:
        yield "migrations: not given (--migrations DIR); whether older releases can work with them will be unknown"
        return
    if not result.new:
        yield f"migrations: none is new, the database has all {len(point.shipped or ())}"
        return
    if any(migration.tool == MigrationTool.SQL for migration in result.new):
        yield f"migrations: {len(result.new)} files; a folder of plain SQL has no journal, so all count as new"
    downs = sum(migration.has_down for migration in result.new)
    yield f"migrations: {len(result.new)} new, together {result.impact.impact}; {downs} with a down file"
    for migration in result.new:
        reasons = f": {'; '.join(migration.impact.reasons)}" if migration.impact.reasons else ""
        yield f"  {migration.tag}  {migration.impact.impact}{reasons}"
