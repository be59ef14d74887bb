"""Follow a rollback's document in the ledger until the rollback is concluded."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback_cli.progress.printer import ProgressPrinter
from rollback_cli.shell import names_cache
from rollback_cli.shell.exit_codes import ExitCode
from rollback_cli.terminal_text import make_console, print_paragraph

_MAX_FAILED_READS = 60  # in a row, a second apart and more: a longer outage ends the command, not the rollback


def pause(seconds: float = 1) -> None:
    """Wait between two readings."""
    time.sleep(seconds)


def follow(key: tuple[str, str], ports: AllPorts, console: Console, printer: ProgressPrinter | None = None) -> Rollback:
    """Print the progress of a rollback until it is concluded, and its report of lost data is made.

    Args:
        key: service and id of the rollback.
        ports: access to the ledger.
        console: where the lines go.
        printer: printer that has printed the beginning.

    Raises:
        KeyError: the ledger has no such rollback.
        ExternalServiceError: the ledger was not readable for a minute; the rollback goes on.
    """
    printer = printer or ProgressPrinter(console)
    failed_reads = 0
    with printer.spinner():
        while True:
            try:
                rollback = ports.ledger.read(*key)
            except CallRefused:
                raise
            except ExternalServiceError as failure:
                failed_reads += 1
                if failed_reads > _MAX_FAILED_READS:
                    raise
                if failed_reads == 1:
                    printer.say(f"the ledger can't be read now, the next attempt follows: {failure}")
                pause()
                continue
            failed_reads = 0
            printer.show(rollback, ports.clock.now())
            if rollback.concluded_at is not None and not rollback.is_data_loss_report_due:
                printer.show_phases(rollback)
                return rollback
            pause()


@contextmanager
def stop_watching_on_interrupt(environment: str, watched: list[str]) -> Iterator[None]:
    """Turn Ctrl-C into exit code 130, and say that the rollback goes on.

    Args:
        environment: name of the environment.
        watched: id of the watched rollback, once it is known.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        console = make_console(stderr=True)
        if watched:
            print_paragraph(f"stopped watching; rollback {watched[0]} goes on", console)
            print_paragraph(f"next: rollback watch {environment} {watched[0]}", console)
        else:
            print_paragraph("stopped waiting; an execution that was started goes on", console)
            print_paragraph(f"next: rollback history {environment}", console)
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt


def remember_rollback(environment: str, rollback_id: str) -> None:
    """Add the id of a rollback to the names for completion."""
    names_cache.remember(environment, rollbacks=(rollback_id,))
