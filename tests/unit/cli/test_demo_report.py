"""A demo ends with the report page of its rollback."""

import webbrowser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simulations.service import Simulation
from support.reported_rollbacks import succeeded

from rollback_cli.verbs.development.demo import write_report


@pytest.fixture
def environment() -> Any:
    return SimpleNamespace(ports=Simulation().ports)


@pytest.mark.parametrize(("should_open", "opened"), [(False, 0), (True, 1)])
def test_the_page_is_written_and_opened_on_request_only(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, should_open: bool, opened: int
) -> None:
    shown: list[str] = []
    monkeypatch.setenv("HOME", str(tmp_path))

    def show(url: str) -> bool:
        shown.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    line = write_report(succeeded(), environment, should_open=should_open)
    page = Path(line.rpartition(": ")[2])
    assert "express-api was rolled back from v1.4.0 to v1.3.2" in page.read_text()
    assert tmp_path in page.parents
    assert shown == [page.as_uri()] * opened


def test_a_page_that_cannot_be_written_ends_no_demo(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "no-folder"
    file.write_text("")
    monkeypatch.setenv("HOME", str(file))
    assert "The report was not written" in write_report(succeeded(), environment, should_open=False)
