"""Roll an ECS service, its Neon database, or both back, and control their automatic rollbacks."""

import sys
from typing import Annotated

import typer

from rollback_cli.shell import names_cache
from rollback_cli.shell.command_group import CatalogueGroup
from rollback_cli.shell.common_options import common_options
from rollback_cli.shell.exit_codes import ExitCode
from rollback_cli.shell.words import COMPLETE, arrange

_EPILOG = (
    "Exit codes: 0 succeeded, 1 failed, 2 the request is not valid, 3 refused, suppressed or only planned, "
    "4 rejected, 5 aborted, 130 interrupted."
)

app = typer.Typer(
    cls=CatalogueGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__,
    epilog=_EPILOG,
)


def _print_version(should_print: bool) -> None:
    if should_print:
        from importlib.metadata import version  # noqa: PLC0415 - takes longer than the rest of --help

        print(f"rollback {version('macro-ai-rollback')}")
        raise typer.Exit


@app.callback()
def _set_common_options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_print_version, is_eager=True)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print results and errors only, no progress")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="print each request to AWS, with its id")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="print the traceback of an error")] = False,
    stack: Annotated[
        str | None,
        typer.Option("--stack", help="stack of the rollback system, or of a RollbackGuard; default: ROLLBACK_STACK"),
    ] = None,
) -> None:
    """Set the options that every verb has."""
    del version
    common_options.is_quiet, common_options.is_verbose, common_options.is_debug = quiet, verbose, debug
    common_options.stack = stack


def main() -> None:
    """Run the command; an error is two lines: what failed, and what to do next."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run the command with the words after its name, and return the exit code."""
    common_options.is_debug = "--debug" in words  # also for an error of the parser
    if words[:1] == [COMPLETE]:
        from rollback_cli.shell.candidates import print_candidates  # noqa: PLC0415

        return print_candidates(words[1:])
    try:
        code = app(arrange(words, names_cache.environments()), prog_name="rollback", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the one place where an error becomes text
        from rollback_cli.errors.print_error import print_error  # noqa: PLC0415 - most runs have no error

        return print_error(error, words)
    return code if isinstance(code, int) else ExitCode.SUCCEEDED


if __name__ == "__main__":
    main()
