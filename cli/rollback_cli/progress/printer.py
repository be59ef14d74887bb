"""Print the facts of a rollback's document, each once, with its phase and the time since the rollback began."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.console import Console

from rollback.domain.approval.commands import decision_commands
from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback_cli.progress.facts import Fact, merge_lines, outcome_facts, progress_facts
from rollback_cli.shell.common_options import common_options
from rollback_cli.terminal_text import print_paragraph


class ProgressPrinter:
    """Printer of the progress of one rollback: one line for each fact, nothing with --quiet."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: set[Fact] = set()
        self._spinner: Any = None

    def spinner(self) -> AbstractContextManager[object]:
        """Show a spinner in a terminal; a file or a pipe gets lines only."""
        if common_options.is_quiet or not self._console.is_terminal or self._console.is_dumb_terminal:
            return nullcontext()
        self._spinner = self._console.status("waiting for the rollback")
        return self._spinner  # type: ignore[no-any-return]

    def say(self, text: str) -> None:
        """Print one line that is no fact of the document."""
        if not common_options.is_quiet:
            print_paragraph(text, self._console)

    def show(self, rollback: Rollback, now: datetime) -> None:
        """Print the facts that were not printed yet, each with its phase and the time of this reading.

        A reading that begins late finds old facts too: `≤` says that they are not newer than that.

        Args:
            rollback: document as it was just read.
            now: time of the reading.
        """
        phase, seconds = current_phase(rollback), max(0.0, (now - rollback.created_at).total_seconds())
        new = [fact for fact in _facts(rollback) if fact not in self._printed]
        time = f"{'≤' if not self._printed and len(new) > 1 else ''}{seconds:.0f}"
        self._printed.update(new)
        for phase_of_facts, facts in groupby(new, key=lambda fact: fact.phase or phase):
            for line in merge_lines(facts):
                self.say(f"{time:>6} s  {phase_of_facts:8} {line}")
        if self._spinner is not None:
            self._spinner.update(f"{rollback.id}: {phase}, {seconds:.0f} s")

    def show_phases(self, rollback: Rollback) -> None:
        """Print how long each phase took, once the rollback is concluded."""
        times = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in phases(rollback).items())
        if times:
            self.say(f"phases: {times}")


def current_phase(rollback: Rollback) -> str:
    """Return the phase that a rollback is in, by the parts that its document has."""
    if rollback.outcome is not None:
        return "conclude"
    if rollback.is_at_gate:
        return "approve"
    if rollback.verification is not None:
        return "verify"
    return "act" if rollback.service is not None or rollback.database is not None else "decide"


def _facts(rollback: Rollback) -> Iterator[Fact]:
    yield from progress_facts(rollback)
    if rollback.is_at_gate:
        yield from (Fact(command) for command in decision_commands(rollback.environment, rollback.id))
    yield from outcome_facts(rollback)
    if rollback.is_data_loss_report_due:
        yield Fact("concluded, the data loss report follows")
