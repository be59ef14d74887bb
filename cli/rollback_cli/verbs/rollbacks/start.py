"""`rollback start ENV`: start a rollback and follow it to its end."""

from difflib import get_close_matches
from typing import Annotated

import typer

from rollback_cli.operator_options import DryRun, Environment, InProcess, RollbackReason, Service, SkipConfirmation
from rollback_cli.shell.words import TYPES


def start(
    environment: Environment,
    positional_type: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE",
            help="service, database, full (service and database), or emergency (service only, sent straight to ECS); "
            "default: service",
        ),
    ] = None,
    type: Annotated[str | None, typer.Option(help="the same as the argument TYPE")] = None,
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
    wait: Annotated[bool, typer.Option(help="watch the rollback to its end, or only start it")] = True,
    in_process: InProcess = False,
    no_ledger: Annotated[
        bool, typer.Option("--no-ledger", help="with --direct, while DynamoDB is down: deploy --task-definition")
    ] = False,
    task_definition: Annotated[
        str | None, typer.Option(help="with --no-ledger: ARN of the task definition to deploy")
    ] = None,
) -> None:
    """Roll a service, its database, or both back to the last known good release, or to a named one.

    A rollback of type service or emergency leaves the database alone.

    Exit code 0: succeeded, or planned in a dry run. Exit code 1: failed. Exit code 2: the request is not valid. Exit
    code 3: refused, suppressed, or only planned because the environment observes. Exit code 4: rejected. Exit code 5:
    aborted. Exit code 130: stopped watching by Ctrl-C, and the rollback goes on.
    """
    options = {
        "type": _choose_type(positional_type, type),
        "service": service,
        "target_version": target_version,
        "pr": pr,
        "strategy": strategy,
        "to": to,
        "force": force,
        "dry_run": dry_run,
        "reason": reason,
    }
    if in_process and not wait:
        raise typer.BadParameter("--direct runs the steps in this process: leave --no-wait out")
    if no_ledger or task_definition is not None:
        # Takes a second; a typo needs none.
        from rollback_cli.direct.start_without_ledger import require_options, start_without_ledger  # noqa: PLC0415

        require_options(options, task_definition, in_process=in_process, no_ledger=no_ledger)
        start_without_ledger(environment, service, task_definition, dry_run=dry_run, yes=yes)
        return
    from rollback_cli.start_and_follow import start_and_follow  # noqa: PLC0415 - takes a second; a typo needs none

    start_and_follow(environment, options, in_process=in_process, yes=yes, wait=wait)


def _choose_type(argument: str | None, option: str | None) -> str:
    """Return the type, given as an argument or as an option.

    Raises:
        BadParameter: both are given and differ, or the type is not known; nothing was started.
    """
    if argument is not None and option is not None and argument != option:
        raise typer.BadParameter(f"the type is given twice: {argument} and --type {option}")
    chosen = argument or option or "service"
    if chosen not in TYPES:
        close = get_close_matches(chosen, TYPES, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise typer.BadParameter(f"type {chosen!r} is not known{hint}: one of {', '.join(TYPES)}")
    return chosen
