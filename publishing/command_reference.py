"""The reference of the command `rollback`, generated from the typer application itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from rollback_cli.main import app

_INTRODUCTION = """# Commands

Every command and option of `rollback`, generated from the program itself. `rollback COMMAND --help` prints the same.
[Command line](../command-line.md) describes exit codes, output formats and completion.
"""
_HIDDEN = {"--help", "--install-completion", "--show-completion"}


@dataclass(frozen=True)
class Parameter:
    """An argument or an option.

    Attributes:
        names: spellings, such as `--wait` and `--no-wait`; of an argument its name in capitals.
        value: word for its value; empty for a switch.
        is_required: whether the command fails without it.
        default: default as it is typed; empty: none.
        description: its help text.
    """

    names: tuple[str, ...]
    value: str
    is_required: bool
    default: str
    description: str

    @property
    def is_option(self) -> bool:
        """Whether it begins with a dash."""
        return self.names[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """A command with its parameters; `panel` is its group in the output of `rollback --help`."""

    words: tuple[str, ...]
    panel: str
    description: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The command with its arguments and its required options."""
        arguments = [
            parameter.names[0] if parameter.is_required else f"[{parameter.names[0]}]"
            for parameter in self.parameters
            if not parameter.is_option
        ]
        options = [f"{p.names[0]} {p.value}" for p in self.parameters if p.is_option and p.is_required]
        has_more = any(p.is_option and not p.is_required for p in self.parameters)
        return " ".join(["rollback", *self.words, *arguments, *options, *(["[OPTIONS]"] if has_more else [])])


def list_commands() -> tuple[Command, ...]:
    """List all commands, those of groups too, in the program's own order."""
    return tuple(_commands_below(typer.main.get_command(app), (), None, ""))


def render_commands() -> str:
    """Render the page in Markdown."""
    parts = [_INTRODUCTION]
    panel = None
    for command in list_commands():
        if command.panel != panel:
            panel = command.panel
            parts.append(f"\n## {panel}\n")
        parts.append(f"\n### rollback {' '.join(command.words)}\n\n```text\n{command.usage}\n```\n")
        parts.append(f"\n{_escape(command.description)}\n")
        for parameter in command.parameters:
            names = ", ".join(f"`{name}{f' {parameter.value}' * bool(parameter.value)}`" for name in parameter.names)
            notes = ["required"] * parameter.is_required + [f"default `{parameter.default}`"] * bool(parameter.default)
            note = f" *({'; '.join(notes)})*" if notes else ""
            parts.append(f"\n{names}{note}\n:   {_escape(parameter.description)}\n")
    return "".join(parts)


def _commands_below(command: Any, words: tuple[str, ...], context: Any, panel: str) -> Iterator[Command]:
    # typer has its own copy of click since 0.24, which has no public types: hence Any
    context = command.context_class(command, info_name=words[-1] if words else "rollback", parent=context)
    own_panel = getattr(command, "rich_help_panel", None)
    panel = panel or (own_panel if isinstance(own_panel, str) else "")
    if not hasattr(command, "list_commands"):
        parameters = tuple(_parameter(parameter) for parameter in command.get_params(context))
        shown = tuple(p for p in parameters if not _HIDDEN & set(p.names))
        yield Command(words, panel or "Commands", _one_paragraph(command.help or ""), shown)
        return
    for name in command.list_commands(context):
        nested = command.get_command(context, name)
        if nested is not None and not nested.hidden:
            yield from _commands_below(nested, (*words, name), context, panel or _panel_in_catalogue(name))


def _panel_in_catalogue(name: str) -> str:
    """Return the panel of a verb in the catalogue of the shell; empty: the verb's own command names its panel."""
    try:
        catalogue = import_module("rollback_cli.shell.catalogue")
    except ModuleNotFoundError:
        return ""
    verb = catalogue.find_verb(name)
    return str(verb.panel) if verb is not None else ""


def _parameter(parameter: Any) -> Parameter:
    is_option = parameter.param_type_name == "option"
    is_switch = bool(getattr(parameter, "is_flag", False)) or bool(getattr(parameter, "count", False))
    word = (getattr(parameter, "metavar", None) or parameter.name).strip("[]").upper()
    names = (*parameter.opts, *parameter.secondary_opts) if is_option else (word,)
    default = "" if callable(parameter.default) else _default_text(parameter.default, is_switch)
    value = "" if is_switch or not is_option else word
    description = getattr(parameter, "help", None) or ""
    return Parameter(tuple(names), value, bool(parameter.required), default, _one_paragraph(description))


def _default_text(default: Any, is_switch: bool) -> str:
    if is_switch:
        return "on" if default else ""
    if default is None or default in ("", ()):
        return ""
    return str(getattr(default, "value", default))


def _one_paragraph(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").split("\n\n"))


def _escape(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", r"\*")
