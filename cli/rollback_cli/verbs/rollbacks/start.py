"""`rollback start ENV`: start a rollback and follow it to its end."""

from typing import Annotated

import typer

from rollback_cli import following, lever


def start(
    environment: str,
    type: Annotated[
        str, typer.Option(help="service, database, full (both), or emergency: straight to ECS")
    ] = "service",
    service: lever.Service = None,
    target_version: Annotated[str | None, typer.Option(help="default: the last known good")] = None,
    pr: Annotated[int | None, typer.Option(help="the pull request whose database goes back")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="restore, reset, recreate, delete, down_migrations or auto; default: as set")
    ] = None,
    to: Annotated[str | None, typer.Option(help="restore the database to this time: 2026-03-01T02:59:00Z")] = None,
    force: Annotated[
        bool, typer.Option(help="override the checks that may be overridden, and take a rollback over that is going on")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask whether you mean it")] = False,
    dry_run: Annotated[bool, typer.Option(help="plan and report; change nothing")] = False,
    reason: Annotated[str, typer.Option(help="for the record")] = "",
    in_process: Annotated[bool, typer.Option("--direct", help="without Step Functions, in this process")] = False,
) -> None:
    """Put a service, its database, or both back on the last known good release, or on the one that is named."""
    given = {
        "type": type,
        "service": service,
        "target_version": target_version,
        "pr": pr,
        "strategy": strategy,
        "to": to,
        "force": force,
        "dry_run": dry_run,
        "reason": reason,
    }
    following.run(environment, given, in_process=in_process, yes=yes)
