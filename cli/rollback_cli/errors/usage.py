"""Explain an error of the parser: an unknown verb, an unknown option, a missing or a wrong value."""

from difflib import get_close_matches
from typing import Any

from typer import BadParameter

from rollback_cli.errors.explanation import Explanation
from rollback_cli.shell.catalogue import VERBS
from rollback_cli.shell.exit_codes import ExitCode
from rollback_cli.shell.words import ENVIRONMENTS

PARSER_ERROR: Any = BadParameter.__mro__[2]  # typer exports no name for the base of its parser's errors


def explain_usage(error: Any) -> Explanation:
    """Explain an error of the parser."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "rollback"
    message = " ".join(error.format_message().split()).rstrip(".").removeprefix("Invalid value: ")
    if message.startswith("No such command") and path == "rollback":
        return _unknown_verb(context.args[0] if context.args else message.split("'")[1])
    return Explanation(message, f"`{path} --help` lists the arguments and options", ExitCode.USAGE)


def _unknown_verb(word: str) -> Explanation:
    names = (*(verb.name for verb in VERBS), *ENVIRONMENTS)
    close = get_close_matches(word, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return Explanation(f"there is no verb {word!r}", f"{hint}`rollback --help` lists the verbs", ExitCode.USAGE)
