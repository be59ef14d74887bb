"""A rollback's report in a terminal."""

from rich.console import Console

from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings
from rollback.reports.report import message
from rollback_cli.terminal_text import print_paragraph


def print_report(console: Console, rollback: Rollback, settings: Settings) -> None:
    """Print the whole report of a rollback."""
    for line in message(rollback, settings.service(rollback.service_name)).split("\n"):
        print_paragraph(line, console)
