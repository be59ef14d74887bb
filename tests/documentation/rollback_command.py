"""Judges `rollback` commands of documentation by the program's own parser."""

import contextlib
import io
import itertools
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import typer

from publishing.command_reference import Command, list_commands
from rollback.domain.request import RollbackType
from rollback.domain.settings.database import Strategy
from rollback_cli.main import app

ENVIRONMENTS = frozenset({"production", "staging", "feature", "production-eu2"})
_EXAMPLES = {
    "ENV": "production",
    "ENVIRONMENT": "production",
    "ID": "express-api-20260301T030000000Z-00000000",
    "N": "3",
    "M": "3",
    "TIME": "2026-03-01T02:59:00Z",
    "VERSION": "v1.2.3",
    "REF": "repository:v1.2.3",
}
_VALUES: dict[str, frozenset[str]] = {
    "--type": frozenset(RollbackType),
    "--strategy": frozenset(Strategy),
}
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


@cache
def _group() -> Any:
    return typer.main.get_command(app)


@cache
def _commands() -> dict[tuple[str, ...], Command]:
    return {command.words: command for command in list_commands()}


def judge(words: tuple[str, ...]) -> Iterator[str]:
    """Yield why the program would refuse the words behind `rollback`; nothing is run."""
    arguments = _arrange([_EXAMPLES.get(word, word) for word in words])
    for option, value in itertools.pairwise(list(arguments)):
        if option == "--tool" and value == "NAME":
            arguments[arguments.index(value)] = "drizzle"
        if option in _VALUES and value not in _VALUES[option] and not value.isupper():
            yield f"{option} {value}: allowed are {', '.join(sorted(_VALUES[option]))}"
    parse_error = _parse(arguments)
    if parse_error is not None:
        yield parse_error
        return
    yield from _judge_environment(arguments)


def judge_mention(words: tuple[str, ...]) -> Iterator[str]:
    """Yield which verb or option of an incomplete command does not exist."""
    verbs = [word for word in words if re.fullmatch(r"[a-z][a-z-]+", word)]
    for length in (2, 1):
        command = _commands().get(tuple(verbs[:length]))
        if command is not None and len(verbs) >= length:
            known = {name for parameter in command.parameters for name in parameter.names} | {"--help"}
            yield from (
                f"rollback {' '.join(command.words)} has no option {word}"
                for word in (word.partition("=")[0] for word in words)
                if word.startswith("--") and word not in known
            )
            return
    if verbs and verbs[0] not in {words_[0] for words_ in _commands()}:
        problem = _parse(_arrange(list(words))) if words[0] in ENVIRONMENTS else ""
        if problem is not None:
            yield f"rollback has no command {verbs[0]}"


def _arrange(words: list[str]) -> list[str]:
    """Put the words into the order of the parser, as the program does: `production service` means `start …`."""
    try:
        module = import_module("rollback_cli.shell.words")
    except ModuleNotFoundError:
        return words
    return list(module.arrange(words))


def _parse(arguments: list[str]) -> str | None:
    group = _group()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            context = group.make_context("rollback", list(arguments))
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            command = group
            while hasattr(command, "resolve_command"):
                name, command, rest = command.resolve_command(context, rest)
                context = command.make_context(name, list(rest), parent=context)
                rest = [*getattr(context, "_protected_args", ()), *context.args]
    except _USAGE_ERROR as error:
        return getattr(error, "message", "") or str(error) or type(error).__name__
    except typer.Exit:
        return None  # `--help` and `--version`
    return None


def _judge_environment(arguments: list[str]) -> Iterator[str]:
    """Yield an environment that `cdk.json` does not have, and a type that no rollback has."""
    verb = next((command for words, command in _commands().items() if tuple(arguments[: len(words)]) == words), None)
    if verb is None:
        return
    places = [parameter.names[0] for parameter in verb.parameters if not parameter.is_option]
    values = list(_positional(arguments[len(verb.words) :], verb))
    named = dict(zip(places, values, strict=False))
    environment = named.get("ENVIRONMENT")
    if environment is not None and environment not in ENVIRONMENTS:
        yield f"environment {environment}: the examples use {', '.join(sorted(ENVIRONMENTS))}"
    kind = named.get("TYPE")
    if kind is not None and kind not in frozenset(RollbackType):
        yield f"type {kind}: allowed are {', '.join(sorted(RollbackType))}"


def _positional(arguments: list[str], verb: Command) -> Iterator[str]:
    takes_value = {name for p in verb.parameters if p.is_option and p.value for name in p.names}
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument.startswith("-"):
            skip = argument in takes_value
        else:
            yield argument
