"""Every `rollback …` command that a message offers is complete, and accepted by the parser of the command line.

Messages are string constants and f-strings of `lambdas`, `cli` and `constructs`. Docstrings and the texts of `help=`
and `description=` describe commands, and offer none. Prose such as "rollback of api" is no command either. A text
offers a command in three places:

- Between backticks, whatever word follows "rollback": an unknown verb fails.
- At the beginning of a line, as in the list after "Next:", if the word after "rollback" is a verb of the command line.
  The command ends with the line.
- After "run", a comma, a colon or a semicolon, if that word is such a verb. The command ends before the next
  punctuation mark that a blank follows, before the words `if`, `for`, `to`, `or`, `and` and `then`, or with the text.

A placeholder of an f-string has the value that its name suggests. The parser decides about verbs, options and missing
arguments. A verb that has the option `--service` has to get it, since an environment may have several services.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from rollback_cli.main import app

ROOT = Path(__file__).parents[3]
FOLDERS = ("lambdas", "cli", "constructs")
COMMAND_LINE = typer.main.get_command(app)
assert isinstance(COMMAND_LINE, TyperGroup)
USAGE_ERROR = typer.BadParameter.__mro__[1]  # typer exports no name for the base of all usage errors
VERBS = "|".join(sorted(COMMAND_LINE.commands, key=len, reverse=True))
# Part of a placeholder's name → value.
VALUES = {
    "environment": "production",
    "rollback": "api-20260301T030000000Z-00000000",
    "holder": "api-20260301T030000000Z-00000000",
    "id": "api-20260301T030000000Z-00000000",
    "limit": "40",
    "service": "api",
}
IN_BACKTICKS = re.compile(r"`rollback (?P<arguments>[^`]+)`")
ON_A_LINE = re.compile(
    rf"^\s*rollback (?P<arguments>(?:{VERBS})\b(?! (?:of|is|was|to|ended|began)\b).*)$", re.MULTILINE
)
IN_A_SENTENCE = re.compile(
    rf"(?:\b[Rr]un |[,:;] )rollback (?P<arguments>(?:{VERBS})\b.*?)(?=[.,:;)](?:\s|$)| (?:if|for|to|or|and|then) |$)",
    re.MULTILINE,
)


def placeholder_value(expression: ast.expr) -> str:
    """Return the value that the name of a placeholder suggests: the last name of `a.b.c` decides."""
    names = re.findall(r"[a-z]+", ast.unparse(expression).rpartition(".")[2].lower())
    return next((VALUES[name] for name in reversed(names) if name in VALUES), "v1.2.3")


def text_of(node: ast.AST) -> str | None:
    """Return the text of a string constant or an f-string; None: the node is neither."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    return "".join(
        placeholder_value(part.value) if isinstance(part, ast.FormattedValue) else str(text_of(part))
        for part in node.values
    )


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Iterate over line and text of the messages of a module."""
    descriptions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg in ("help", "description")
        for inner in ast.walk(node.value)
    }
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        text = text_of(node)
        if text is not None and id(node) not in descriptions | statements | parts:
            yield node.lineno, text  # type: ignore[attr-defined]


def offered_commands(text: str) -> Iterator[str]:
    """Iterate over the arguments of the commands that a message offers."""
    for place in (IN_BACKTICKS, ON_A_LINE, IN_A_SENTENCE):
        yield from (match["arguments"].rstrip(" .") for match in place.finditer(text))


def all_offered_commands() -> dict[str, str]:
    """Return place in the code → arguments."""
    return {
        f"{path.relative_to(ROOT)}:{line}: rollback {arguments}": arguments
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in messages(ast.parse(path.read_text()))
        for arguments in offered_commands(text)
    }


def parse(arguments: str, *, has_several_services: bool = True) -> None:
    """Parse a command line without running the command; `#` begins a comment, as in a shell.

    Raises:
        typer.BadParameter: the command has the option `--service`, and does not get it.
        Exception: a `USAGE_ERROR`: a verb or an option is unknown, or an argument is missing.
    """
    if arguments in ("--help", "--version"):  # options of the command line itself
        return
    command: Any = COMMAND_LINE
    context: Any = typer.Context(command)
    words = shlex.split(arguments, comments=True)
    is_question = words[-1] == "--help"
    if is_question:
        words.pop()
    while isinstance(command, TyperGroup):
        name, command, words = command.resolve_command(context, words)
        if is_question and not words:
            return
        context = command.make_context(name, list(words))
    if has_several_services and context.params.get("service", "given") is None:
        raise typer.BadParameter(f"--service is missing: {arguments}")


COMMANDS = all_offered_commands()
# The cloud on this machine has one service.
OF_ONE_SERVICE = ("cli/rollback_cli/local_environment/", "cli/rollback_cli/verbs/development/")


def test_commands_are_found_in_messages_of_each_folder() -> None:
    assert {place.partition("/")[0] for place in COMMANDS} == set(FOLDERS)


@pytest.mark.parametrize("place", COMMANDS, ids=lambda place: place.partition(": ")[0])
def test_an_offered_command_is_complete(place: str) -> None:
    parse(COMMANDS[place], has_several_services=not place.startswith(OF_ONE_SERVICE))


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a rollback of api begins; rollback begins", []),
        ("end it with `rollback abort production`", ["abort production"]),
        (
            "Next:\n  rollback show production r1\n  rollback status production",
            ["show production r1", "status production"],
        ),
        ("Run rollback status production; if no process runs, run rollback unlock production.", None),
        ("`rollback explode production` ends it", ["explode production"]),
    ],
)
def test_commands_are_distinguished_from_prose(text: str, commands: list[str] | None) -> None:
    expected = ["status production", "unlock production"] if commands is None else commands
    assert list(offered_commands(text)) == expected


@pytest.mark.parametrize(
    "arguments",
    ["explode production", "abort production r1", "pause production --reason x", "status", "history p --all"],
)
def test_an_incomplete_command_is_refused(arguments: str) -> None:
    with pytest.raises(USAGE_ERROR):
        parse(arguments)
