"""`rollback start ENV`: start a rollback and follow it to its end."""

from typing import Annotated

import typer

from rollback_cli.direct.start_without_ledger import require_options, start_without_ledger
from rollback_cli.operator_options import DryRun, Environment, InProcess, RollbackReason, Service, SkipConfirmation
from rollback_cli.start_and_follow import start_and_follow


def start(
    environment: Environment,
    type: Annotated[
        str,
        typer.Option(
            help="service, database, full (service and database), or emergency (service only, sent straight to ECS)"
        ),
    ] = "service",
    service: Service = None,
    target_version: Annotated[
        str | None, typer.Option(help="release to roll back to; default: the last known good")
    ] = None,
    pr: Annotated[int | None, typer.Option(help="number of the pull request whose database is rolled back")] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="how the database is rolled back: restore, reset, recreate, delete, down_migrations or auto; "
            "default: the environment's setting"
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="restore the database to this time, such as 2026-03-01T02:59:00Z")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="override the checks that may be overridden, and take over a rollback in progress")
    ] = False,
    yes: SkipConfirmation = False,
    dry_run: DryRun = False,
    reason: RollbackReason = "",
    in_process: InProcess = False,
    no_ledger: Annotated[
        bool, typer.Option("--no-ledger", help="with --direct, while DynamoDB is down: deploy --task-definition")
    ] = False,
    task_definition: Annotated[
        str | None, typer.Option(help="with --no-ledger: ARN of the task definition to deploy")
    ] = None,
) -> None:
    """Roll a service, its database, or both back to the last known good release, or to a named one.

    A rollback of type service or emergency leaves the database alone. Exit code 0: succeeded, or planned
    in a dry run; 1: any other outcome.
    """
    options = {
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
    if no_ledger or task_definition is not None:
        require_options(options, task_definition, in_process=in_process, no_ledger=no_ledger)
        start_without_ledger(environment, service, task_definition, dry_run=dry_run, yes=yes)
        return
    start_and_follow(environment, options, in_process=in_process, yes=yes)
