"""The command in a job of GitHub Actions: outputs of its step, and the person in the record."""

from pathlib import Path

import pytest
from simulations.drills import start_drill_simulation
from simulations.terminal import At
from support.builders import SERVICE

from rollback.text import REQUESTER_LIMIT
from rollback_cli.requester import requester_name


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of the step's outputs, which an earlier part of the step has written to."""
    file = tmp_path / "outputs"
    file.write_text("kept=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    return file


def test_a_rollback_is_an_output_of_its_step(terminal: At, outputs: Path) -> None:
    simulation = start_drill_simulation()
    assert terminal(simulation)("start", "production", "--dry-run", "--direct") == 0
    (rollback,) = simulation.ledger.history(SERVICE)
    assert outputs.read_text() == f"kept=1\nrollback-id={rollback.id}\noutcome=planned\n"


def test_a_request_that_is_not_valid_has_no_output(terminal: At, outputs: Path) -> None:
    assert terminal(start_drill_simulation())("start", "production", "--type", "servise", "--direct") == 2
    assert outputs.read_text() == "kept=1\n"


def test_outside_of_github_actions_nothing_is_written(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    assert terminal(start_drill_simulation())("start", "production", "--dry-run", "--direct") == 0


def test_the_requester_is_the_person_who_started_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_ACTOR", "alice")
    monkeypatch.setenv("GITHUB_RUN_ID", "42")
    assert requester_name() == "alice (GitHub Actions run 42)"
    monkeypatch.setenv("GITHUB_ACTOR", "a\nb" * 500)
    assert "\n" not in requester_name()
    assert len(requester_name()) <= REQUESTER_LIMIT
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    assert "GitHub" not in requester_name()
