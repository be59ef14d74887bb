"""`rollback report`: the written account from the ledger, with the caller's own credentials."""

import json
import webbrowser
from pathlib import Path

import pytest
from simulations.service import Simulation
from simulations.terminal import At, Terminal
from support.reported_rollbacks import succeeded

ID = succeeded().id


@pytest.fixture
def with_rollback(terminal: At) -> Terminal:
    simulation = Simulation()
    simulation.ports.ledger.create(succeeded())
    return terminal(simulation)


def test_markdown_is_the_default(with_rollback: Terminal) -> None:
    assert with_rollback("report", "production", ID) == 0
    assert with_rollback.said.startswith("# express-api was rolled back from v1.4.0 to v1.3.2")
    assert "## Not looked at" in with_rollback.said


def test_json_has_the_account(with_rollback: Terminal) -> None:
    assert with_rollback("report", "production", ID, "--json") == 0
    assert json.loads(with_rollback.said)["rollback_id"] == ID


def test_the_page_is_written_to_the_named_file(with_rollback: Terminal, tmp_path: Path) -> None:
    assert with_rollback("report", "production", ID, "--html", str(tmp_path / "a.html")) == 0
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_without_a_browser_the_path_is_printed(
    with_rollback: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert with_rollback("report", "production", ID, "--open") == 0
    page = Path(with_rollback.said.strip())
    assert page.read_text().startswith("<!doctype html>")
    assert tmp_path in page.parents
    assert page.parent.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_named(with_rollback: Terminal, tmp_path: Path) -> None:
    assert with_rollback("report", "production", ID, "--html", str(tmp_path / "none" / "a.html")) == 2
    assert "can't be written" in with_rollback.said


def test_two_forms_at_once_and_an_unknown_rollback_are_refused(with_rollback: Terminal) -> None:
    assert with_rollback("report", "production", ID, "--json", "--markdown") == 2
    assert with_rollback("report", "production", "express-api-20260301T030000Z-11111111") == 2
    assert "there is no rollback" in with_rollback.said
