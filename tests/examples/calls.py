"""Example calls of a port, one for each method, and a comparison of the results of two calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from rollback.errors import RollbackError

_LOGS = frozenset({"calls", "asked", "puts"})  # records of calls are no effects of the calls
_OURS = ("fake", "example")  # modules whose objects have state of their own


@dataclass(frozen=True)
class FromFake:
    """Value that is read from the fake after `arrange`."""

    read: Callable[[Any], Any]


@dataclass(frozen=True)
class EachOf:
    """Alternative values, each of which must change the result of the call."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Example:
    """Call that succeeds, and for each argument another value that changes the result.

    `arrange` brings the fake into the state that the call needs.
    """

    given: Mapping[str, Any]
    instead: Mapping[str, Any]
    arrange: Callable[[Any], object] = lambda _: None

    def of(self, argument: str) -> tuple[Any, ...]:
        """List the alternative values of an argument."""
        alternatives = self.instead[argument]
        return alternatives.values if isinstance(alternatives, EachOf) else (alternatives,)


def record_call(make: Callable[[], Any], method: str, example: Example, **instead: Any) -> tuple[Any, Any]:
    """Make the call on a new fake, and return its answer or error with the state of the fake."""
    fake = make()
    example.arrange(fake)
    arguments = {name: _read(value, fake) for name, value in {**example.given, **instead}.items()}
    try:
        answer = getattr(fake, method)(**arguments)
        outcome: Any = ("answered", shown(tuple(answer) if isinstance(answer, Iterator) else answer))
    except (RollbackError, KeyError, ValueError) as error:
        outcome = ("raised", type(error).__name__)
    return outcome, shown(fake)


def is_indifferent_to(make: Callable[[], Any], method: str, example: Example, argument: str) -> list[Any]:
    """List the alternative values of an argument that do not change the result of the call."""
    usual_outcome = record_call(make, method, example)
    return [
        alternative
        for alternative in example.of(argument)
        if record_call(make, method, example, **{argument: alternative}) == usual_outcome
    ]


def shown(value: Any, visited: tuple[int, ...] = ()) -> Any:
    """Convert a value to plain data, secrets included; a fake is represented by its state."""
    if id(value) in visited:
        return "…"
    visited = (*visited, id(value))
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return type(value).__name__, {name: shown(getattr(value, name), visited) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {
            shown(name, visited) if not isinstance(name, str) else name: shown(item, visited)
            for name, item in value.items()
        }
    if isinstance(value, set | frozenset):
        return sorted(map(repr, (shown(item, visited) for item in value)))
    if isinstance(value, list | tuple):
        return tuple(shown(item, visited) for item in value)
    if type(value).__module__.startswith(_OURS):
        return type(value).__name__, {
            name: shown(item, visited) for name, item in vars(value).items() if name not in _LOGS
        }
    return getattr(value, "__qualname__", None) or repr(value)


def _read(value: Any, fake: Any) -> Any:
    return value.read(fake) if isinstance(value, FromFake) else value
