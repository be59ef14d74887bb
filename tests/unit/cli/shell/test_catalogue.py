"""Catalogue of the verbs: it repeats what the verbs' modules say, and everything about a verb is written once more."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer

from rollback.domain.request import RollbackType
from rollback.domain.settings.database import Strategy
from rollback_cli.main import app
from rollback_cli.shell.candidates import SECOND_ARGUMENTS, SHELLS, STRATEGIES, WITHOUT_ENVIRONMENT
from rollback_cli.shell.catalogue import VERBS, Verb
from rollback_cli.shell.exit_codes import ExitCode
from rollback_cli.shell.words import TYPES
from rollback_cli.verbs.shell.completion import Shell

GROUP: Any = typer.main.get_command(app)
MANUAL = (Path(__file__).parents[4] / "docs" / "command-line.md").read_text()
NAMES = [verb.name for verb in VERBS]


def arguments_of(verb: str) -> list[str]:
    """Names of a verb's positional arguments."""
    return [p.name for p in GROUP.commands[verb].params if p.param_type_name == "argument"]


def options_of(command: Any) -> list[str]:
    """Long names of a command's options."""
    options = [p for p in command.params if p.param_type_name == "option"]
    return [name for p in options for name in p.opts if name.startswith("--")]


def test_each_verb_is_in_the_catalogue_once() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_help_of_a_verb_is_the_first_paragraph_of_its_docstring(verb: Verb) -> None:
    loaded = verb.load()
    text = loaded.info.help if isinstance(loaded, typer.Typer) else inspect.getdoc(loaded)
    assert text is not None
    assert " ".join(text.split("\n\n")[0].split()) == verb.help


@pytest.mark.parametrize("verb", NAMES)
def test_each_verb_and_each_of_its_options_is_in_the_manual(verb: str) -> None:
    assert f"\n### `rollback {verb}" in MANUAL, f"docs/command-line.md has no section about {verb}"
    section = MANUAL.partition(f"\n### `rollback {verb}")[2].partition("\n### ")[0].partition("\n## ")[0]
    command = GROUP.commands[verb]
    commands = getattr(command, "commands", {verb: command})
    missing = [name for one in commands.values() for name in options_of(one) if f"`{name}" not in section]
    assert missing == []


def test_the_manual_has_each_common_option_each_exit_code_and_no_unknown_verb() -> None:
    assert [name for name in options_of(GROUP) if f"`{name}`" not in MANUAL] == []
    assert [code for code in ExitCode if f"| {code.value} |" not in MANUAL] == []
    headings = [line.split()[2].rstrip("`") for line in MANUAL.splitlines() if line.startswith("### `rollback ")]
    assert sorted(headings) == sorted(NAMES)


@pytest.mark.parametrize("verb", NAMES)
def test_completion_knows_the_arguments_of_a_verb(verb: str) -> None:
    if verb in WITHOUT_ENVIRONMENT:
        assert "environment" not in ([] if verb == "local" else arguments_of(verb))
        return
    kinds = {"positional_type": "types", "rollback_id": "rollbacks", "version": "versions"}
    first, *others = arguments_of(verb)
    assert first in ("environment", "environment_or_id")
    assert [kinds[name] for name in others] == [kind for name, kind in SECOND_ARGUMENTS.items() if name == verb]


def test_fixed_words_are_those_of_the_domain() -> None:
    assert set(TYPES) == set(RollbackType)
    assert set(STRATEGIES) == set(Strategy)
    assert set(SHELLS) == set(Shell)
