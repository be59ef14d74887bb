"""Any list of words ends with an exit code of the table, and never with a traceback."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simulations.service import start_simulation
from simulations.terminal import SimulatedDeployment

from rollback.errors import CallRefused, RefusalKind
from rollback_cli import deployed_stack
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.main import app, run
from rollback_cli.shell.catalogue import VERBS
from rollback_cli.shell.exit_codes import ExitCode

GROUP: Any = typer.main.get_command(app)
# Verbs that start an embedded cloud; their options are fuzzed with --help only.
LONG = ("demo", "local")
CODES = {int(code) for code in ExitCode}


def _options() -> list[str]:
    commands = [GROUP.commands[verb.name] for verb in VERBS if verb.name not in LONG]
    return sorted({name for c in commands for p in c.params for name in (*p.opts, *p.secondary_opts) if name[0] == "-"})


VALUES = (
    "production",
    "staging",
    "service",
    "emergency",
    "express-api",
    "v1",
    "v2",
    "1",
    "0",
    "-1",
    "2d",
    "r-1-2",
    "x",
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
WORD = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from([*_options(), "--help", "--quiet", "--debug=1", "--", "-", "-q", "--version"]),
    st.builds("{}={}".format, st.sampled_from(_options()), st.one_of(st.sampled_from(VALUES), TEXT)),
    TEXT,
    st.sampled_from(["\udcff", "a\x1b[31m", "[/red]", "é" * 300, "\n", "%s", "{}"]),
)
VERB = st.one_of(st.sampled_from([verb.name for verb in VERBS if verb.name not in LONG]), TEXT, st.just("production"))
READING = ("status", "history", "show", "versions", "metrics", "report", "completion", "check-deploy", "__complete")


@pytest.fixture(autouse=True)
def no_names(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLBACK_CACHE_DIR", str(tmp_path_factory.mktemp("names")))


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """Standard output and standard error, and no standard input."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdin", io.StringIO())
        yield said


def assert_ends_well(words: list[str]) -> None:
    with captured() as said:
        code = run(words)
    assert code in CODES, words
    assert "Traceback" not in said.getvalue(), words
    assert "internal error" not in said.getvalue(), (words, said.getvalue())
    if code == ExitCode.USAGE and "Usage:" not in said.getvalue():
        lines = said.getvalue().splitlines()[-2:]
        assert [line.partition(" ")[0] for line in lines] == ["error:", "next:"], (words, lines)


def refuse(environment: str) -> NoReturn:
    raise CallRefused("AWS refused it; log in", kind=RefusalKind.CREDENTIALS)


@settings(max_examples=300)
@given(VERB, st.lists(WORD, max_size=6))
@example("start", ["production", "servcie"])
@example("history", ["production", "--limit", "99999999999999999999"])
@example("metrics", ["production", "--since", "9" * 400 + "d"])
@example("--quiet", [])
@example("-", [])
@example("", [])
def test_no_list_of_words_ends_in_a_traceback(verb: str, words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployed_stack, "find_deployment", refuse)
        assert_ends_well([verb, *words])


@settings(max_examples=150)
@given(st.sampled_from(READING), st.lists(WORD, max_size=5))
def test_no_reading_of_a_real_ledger_ends_in_a_traceback(verb: str, words: list[str]) -> None:
    simulation = start_simulation()

    def find(environment: str) -> DeployedStack:
        return SimulatedDeployment(simulation.ports.settings, "ledger", "topic", "critical", "workflow", simulation)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployed_stack, "find_deployment", find)
        patched.setattr("rollback_cli.verbs.rollbacks.report.write_page", lambda *_: "page")
        patched.setattr("rollback_cli.verbs.rollbacks.report.open_page", lambda *_: True)
        assert_ends_well([verb, "production", *words])


@given(st.sampled_from(LONG), st.lists(WORD, max_size=4))
@settings(max_examples=40)
def test_the_help_of_the_embedded_cloud_ends_well(verb: str, words: list[str]) -> None:
    assert_ends_well([verb, "--help", *words])
