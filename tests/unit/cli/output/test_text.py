"""Records and tables: a record is one line whatever it holds, and no name is cut at any width."""

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from simulations.reading import in_trouble, rolled_back
from simulations.terminal import At
from support.hostile_values import TEXTS

from rollback_cli.output.records import format_records
from rollback_cli.output.rollbacks.history import ListedRollback
from rollback_cli.output.tables import Cell, Column, print_table

COLUMNS = (Column("id"), Column("state"), Column("number", is_optional=True), Column("reason", is_text=True))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=60)


@given(st.lists(st.tuples(st.text(), st.text(), st.booleans()), max_size=5))
def test_a_record_is_one_line_with_all_its_fields(records: list[tuple[str, str, bool]]) -> None:
    header, *lines = format_records(("first", "second", "third"), records)
    assert header == "first\tsecond\tthird"
    assert len(lines) == len(records)
    for line in lines:
        assert line.splitlines() == [line]
        assert [bool(field) for field in line.split("\t")] == [True, True, True]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_text_forges_no_record(text: str) -> None:
    _, line = format_records(("text", "next"), [(text, "end")])
    assert len(line.split("\t")) == 2
    assert line.replace("\t", "").isprintable()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_text_is_printable_text_in_a_document(text: str) -> None:
    document = ListedRollback(id="x", state="failed", reason=text)
    written = document.model_dump_json()
    assert written.isprintable()
    assert ListedRollback.model_validate_json(written) == document


@given(st.integers(20, 200), st.lists(st.tuples(NAMES, NAMES, st.text(max_size=200)), min_size=1, max_size=4))
def test_no_name_is_cut_or_folded_at_any_width(width: int, rows: list[tuple[str, str, str]]) -> None:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, COLUMNS, [(Cell(a), Cell(b), Cell("7"), Cell(text)) for a, b, text in rows])
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    for name, state, _ in rows:
        assert any(name in line and state in line for line in lines)


def test_an_optional_column_makes_room_before_the_table_is_given_up() -> None:
    row = (Cell("a" * 20), Cell("b" * 20), Cell("c" * 20), Cell("word " * 20))
    shown = {}
    for width in (100, 80, 40):
        console = Console(file=io.StringIO(), width=width)
        print_table(console, COLUMNS, [row])
        assert isinstance(console.file, io.StringIO)
        shown[width] = console.file.getvalue()
    assert "number" in shown[100].splitlines()[0]
    assert shown[80].splitlines()[0].split() == ["id", "state", "reason"]
    assert shown[40].splitlines()[0].startswith("a" * 20)


def test_the_status_fits_80_columns_but_for_names_and_commands(terminal: At) -> None:
    type_ = terminal(in_trouble())
    type_.in_terminal("status", "production")
    long = [line for line in type_.output.splitlines() if len(line) > 80]
    assert [line.split() for line in long if len(line.split()) > 1] == []


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_no_color_takes_the_colours_out_of_a_terminal(
    variables: dict[str, str], terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    type_ = terminal(in_trouble())
    type_.in_terminal("status", "production")
    assert ("\x1b[31m" in type_.output) is not bool(variables)


def test_a_pipe_has_no_colours_and_no_table_even_if_colours_are_forced(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    type_ = terminal(rolled_back())
    type_("versions", "production")
    assert "\x1b" not in type_.output
    assert type_.output.startswith("service\tname\t")


def test_rich_and_yaml_are_not_imported_before_they_are_needed() -> None:
    modules = "status.lines, status.read, versions.listing, versions.read, rollbacks.history, rollbacks.measured"
    imports = "; ".join(f"import rollback_cli.output.{module.strip()}" for module in modules.split(","))
    code = f"import sys; {imports}; print(sorted({{'rich', 'yaml'}} & sys.modules.keys()))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=90)
    assert process.stdout == "[]\n"


def test_the_forms_are_known_without_pydantic() -> None:
    code = "import sys, rollback_cli.output.formats; print(sorted({'rich', 'yaml', 'pydantic'} & sys.modules.keys()))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=90)
    assert process.stdout == "[]\n"
