"""`rollback watch`: a line for each fact, until the rollback is concluded."""

import io
import re
from datetime import timedelta
from itertools import groupby

import pytest
from rich.console import Console
from simulations.service import Simulation, start_simulation
from simulations.terminal import At
from support.builders import NOW

from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError
from rollback.workflow.route import Step
from rollback_cli.progress import follow
from rollback_cli.progress.printer import ProgressPrinter
from rollback_cli.shell import names_cache
from rollback_cli.shell.common_options import common_options


def advance_between_readings(simulation: Simulation, rollback: Rollback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rollback take one step in each pause of the command."""

    def pause() -> None:
        simulation.run_due_step(simulation.read(rollback))
        simulation.pass_time(seconds=1)

    monkeypatch.setattr(follow, "pause", pause)


def test_a_watched_rollback_is_a_line_for_each_fact_and_then_its_report(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    type_ = terminal(simulation)
    advance_between_readings(simulation, rollback, monkeypatch)
    assert type_("watch", "production", rollback.id) == 0
    facts = [line for line in type_.said.splitlines() if re.match(r" *\d+ s  ", line)]
    assert facts[0].split(maxsplit=3)[2:] == ["decide", "started, trigger: alarm"]
    assert [phase for line in facts if (phase := line.split()[2])] == sorted(
        (line.split()[2] for line in facts), key=["decide", "act", "verify", "conclude"].index
    )
    assert len(facts) == len({line.split(maxsplit=2)[2] for line in facts})
    assert any("the service runs the target" in line for line in facts)
    assert re.search(r"^phases: detect \d+ s, decide \d+ s, act \d+ s, verify \d+ s$", type_.said, re.MULTILINE)
    assert f"Rollback {rollback.id}: succeeded" in type_.said
    assert "\x1b" not in type_.said


def test_facts_that_are_older_than_the_watch_have_their_own_phase_and_no_time_of_their_own(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    type_ = terminal(simulation)
    assert type_("watch", "production", rollback.id) == 0
    facts = [line.split() for line in type_.said.splitlines() if re.match(r" *≤\d+ s  ", line)]
    assert facts[0][2:4] == ["decide", "started,"]
    assert [phase for phase, _ in groupby(facts, key=lambda words: words[2])] == ["decide", "act", "verify", "conclude"]


def test_a_quiet_watch_prints_the_report_only(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    type_ = terminal(simulation)
    assert type_("watch", "production", rollback.id, "--quiet") == 0
    assert type_.said.startswith(f"Rollback {rollback.id}: succeeded")


def test_the_exit_code_is_that_of_the_outcome(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.run({"dry_run": False, "target_version": "v2"})
    assert simulation.read(rollback).outcome is Outcome.REFUSED
    assert terminal(simulation)("watch", "production", rollback.id) == 3


def test_ctrl_c_ends_the_command_with_130_and_says_that_the_rollback_goes_on(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    type_ = terminal(simulation)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "pause", interrupt)
    assert type_("watch", "production", rollback.id) == 130
    assert f"stopped watching; rollback {rollback.id} goes on" in type_.said
    assert f"next: rollback watch production {rollback.id}" in type_.said
    assert simulation.read(rollback).outcome is None


def test_a_rollback_that_this_machine_has_seen_needs_no_environment(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    type_ = terminal(simulation)
    assert type_("watch", rollback.id) == 2
    assert f"use `rollback watch ENV {rollback.id}`" in type_.said
    names_cache.remember("production", rollbacks=(rollback.id,))
    assert type_("watch", rollback.id) == 0


def test_an_unknown_rollback_is_refused(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("watch", "production", "express-api-20200101T000000000Z-00000000") == 2
    assert "`rollback history production` lists the rollbacks" in type_.said


@pytest.mark.parametrize("failures", [3, 61])
def test_a_ledger_without_answer_is_read_again_for_a_minute(
    terminal: At, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    type_, left, read = terminal(simulation), [failures], simulation.ledger.read

    def read_sometimes(service: str, rollback_id: str) -> Rollback:
        left[0] -= 1
        if left[0] >= 0:
            raise ExternalServiceError("GetItem on table got no answer")
        return read(service, rollback_id)

    monkeypatch.setattr(simulation.ledger, "read", read_sometimes)
    assert type_("watch", "production", rollback.id) == (0 if failures == 3 else 1)
    assert type_.said.count("the ledger can't be read now") == 1


def test_a_names_cache_that_is_damaged_is_empty(terminal: At) -> None:
    terminal(start_simulation())
    for content in (b"", b"[]", b"{", b'{"environments": [1]}', b'{"environments": {"a": 1, "b": {"rollbacks": 5}}}'):
        names_cache.cache_file().write_bytes(content)
        assert names_cache.names("rollbacks") == []
        assert names_cache.environment_of("x") is None
    names_cache.remember("production", rollbacks=("r1",))
    names_cache.remember("production", rollbacks=("r2",), account="123456789012")
    assert names_cache.names("rollbacks", "production") == ["r2", "r1"]
    assert names_cache.environment_of("r1") == "production"
    assert names_cache.account_of("production") == "123456789012"


@pytest.mark.parametrize(("is_terminal", "is_quiet"), [(True, False), (False, False), (True, True)])
def test_a_spinner_turns_in_a_terminal_only(is_terminal: bool, is_quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common_options, "is_quiet", is_quiet)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, _environ={"TERM": "xterm"})
    printer = ProgressPrinter(console)
    with printer.spinner():
        printer.show(start_simulation().run(), NOW + timedelta(seconds=12))
    assert ("\x1b[?25l" in screen.getvalue()) == (is_terminal and not is_quiet)  # hides the cursor
    assert ("v2 → v1" in screen.getvalue()) == (not is_quiet)
