"""Group of commands whose verbs come from the catalogue. A verb is imported when it is invoked, not for the list."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

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


class _KeptAsItIs:
    """Conversion that changes nothing. typer's own imports pydantic, a quarter of the time until the first request."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ARG002 - typer's signature
        return value


class _Chosen:
    """Conversion of a word to a member of a `StrEnum`, without pydantic."""

    def __init__(self, choices: type[StrEnum]) -> None:
        self._choices = choices

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return None if value is None else self._choices(value)
        except ValueError as error:
            allowed = ", ".join(repr(choice.value) for choice in self._choices)
            raise typer.BadParameter(f"{value!r} is not one of {allowed}.", ctx=ctx, param=param) from error


def _keep_as_it_is(parameter: Any) -> Any:
    """Set the conversion of a parameter whose values need none; typer has no public way to do so."""
    if hasattr(parameter, "_runtime_param"):
        parameter._runtime_param = _KeptAsItIs()
    return parameter


def _convert_without_pydantic(parameters: Iterable[Any]) -> None:
    """Set the conversion of the parameters that are texts or choices."""
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        annotation = descriptor.annotation if descriptor is not None and parameter.nargs == 1 else None
        if annotation is str:
            _keep_as_it_is(parameter)
        elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
            parameter._runtime_param = _Chosen(annotation)


class _VerbCommand(TyperCommand):
    """Command of one verb, whose texts, choices and option --help are converted without pydantic."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        _convert_without_pydantic(self.params)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option --help."""
        return _keep_as_it_is(super().get_help_option(ctx))


def _make_command(verb: Verb) -> Command:
    loaded = verb.load()
    if not isinstance(loaded, typer.Typer):
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(verb.name, cls=_VerbCommand)(loaded)
        loaded = app
    command = typer.main.get_command(loaded)
    command.name = verb.name
    return command


class CatalogueGroup(TyperGroup):
    """Group of the verbs in the catalogue. Its help is plain text, so that it needs neither a verb nor rich."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(dict[str, Command], _CataloguedCommands())
        _convert_without_pydantic(self.params)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option --help."""
        return _keep_as_it_is(super().get_help_option(ctx))

    def format_commands(self, ctx: Any, formatter: Formatter) -> None:  # noqa: ARG002 - click's signature
        """Write the verbs under their headings, without an import of the verbs."""
        for panel in dict.fromkeys(verb.panel for verb in VERBS):
            with formatter.section(panel):
                formatter.write_dl([(verb.name, verb.help) for verb in VERBS if verb.panel == panel])
