"""`rollback watch ENV ID`: the progress of one rollback, live."""

from typing import Annotated

import typer

from rollback_cli import deployed_stack
from rollback_cli.shell import names_cache
from rollback_cli.terminal_text import make_console


def watch(
    environment_or_id: Annotated[
        str,
        typer.Argument(
            metavar="[ENVIRONMENT]", help="environment; may be left out for an id that this machine has seen"
        ),
    ],
    rollback_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="id of a rollback, as `rollback history` lists it")
    ] = None,
) -> None:
    """Print the progress of one rollback until it is concluded, then its report.

    Ctrl-C ends the command with exit code 130; the rollback goes on. Otherwise the exit code is that of the outcome: 0
    succeeded, 1 failed, 3 refused, suppressed or only planned, 4 rejected, 5 aborted.
    """
    environment, rollback_id = _environment_and_id(environment_or_id, rollback_id)
    deployment = deployed_stack.find_deployment(environment)
    from rollback.domain.rollback import service_of  # noqa: PLC0415 - after the first request: it takes a second
    from rollback.errors import InvalidRequest  # noqa: PLC0415
    from rollback_cli.display import print_report  # noqa: PLC0415
    from rollback_cli.progress.follow import follow, remember_rollback, stop_watching_on_interrupt  # noqa: PLC0415
    from rollback_cli.shell.exit_codes import exit_code_of  # noqa: PLC0415

    console = make_console()
    with stop_watching_on_interrupt(environment, [rollback_id]):
        try:
            rollback = follow((service_of(rollback_id), rollback_id), deployment.ports(), console)
        except KeyError as error:
            raise InvalidRequest(
                f"there is no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
            ) from error
        remember_rollback(environment, rollback_id)
        print_report(console, rollback, deployment.settings)
    raise typer.Exit(exit_code_of(rollback))


def _environment_and_id(first: str, second: str | None) -> tuple[str, str]:
    """Return environment and id; without an environment, the one in which this machine has seen the id.

    Raises:
        InvalidRequest: no environment is given, and the id was not seen.
    """
    if second is not None:
        return first, second
    environment = names_cache.environment_of(first)
    if environment is None:
        from rollback.errors import InvalidRequest  # noqa: PLC0415

        raise InvalidRequest(
            f"the environment of rollback {first} is not known on this machine; use `rollback watch ENV {first}`"
        )
    return environment, first
