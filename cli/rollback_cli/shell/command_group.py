"""Group of commands whose verbs come from the catalogue. A verb is imported when it is invoked, not for the list."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import typer
from typer.core import TyperGroup

from rollback_cli.shell.catalogue import VERBS, Verb, find_verb

# typer exports neither type: click is part of typer since its version 0.25.
Command = Any
Formatter = Any


class _CataloguedCommands(Mapping[str, Command]):
    """Commands by name; a command is made from its module at the first access."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        verb = find_verb(name)
        if verb is None:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _make_command(verb)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and find_verb(name) is not None

    def __iter__(self) -> Iterator[str]:
        return (verb.name for verb in VERBS)

    def __len__(self) -> int:
        return len(VERBS)


def _make_command(verb: Verb) -> Command:
    loaded = verb.load()
    if not isinstance(loaded, typer.Typer):
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(verb.name)(loaded)
        loaded = app
    command = typer.main.get_command(loaded)
    command.name = verb.name
    return command


class CatalogueGroup(TyperGroup):
    """Group of the verbs in the catalogue. Its help is plain text, so that it needs neither a verb nor rich."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(dict[str, Command], _CataloguedCommands())

    def format_commands(self, ctx: typer.Context, formatter: Formatter) -> None:  # noqa: ARG002 - click's signature
        """Write the verbs under their headings, without an import of the verbs."""
        for panel in dict.fromkeys(verb.panel for verb in VERBS):
            with formatter.section(panel):
                formatter.write_dl([(verb.name, verb.help) for verb in VERBS if verb.panel == panel])
