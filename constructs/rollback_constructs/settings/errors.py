"""Messages about wrong settings: one line each, with the full path, the value and what is allowed."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MAX_VALUE_LENGTH = 80
_MAX_KEYS = 20  # longer lists are in the reference of the settings
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text in quotes",
    "tuple": "a list",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


class ContradictorySettings(ValueError):
    """Settings that are each valid, but not together.

    Attributes:
        problems: a line each, which begins with the path of a setting, relative to the model that is validated.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def reject_contradictions(constraints: Mapping[str, bool]) -> None:
    """Check constraints between settings.

    Args:
        constraints: problem → whether the constraint holds.

    Raises:
        ContradictorySettings: it has all problems whose constraint does not hold.
    """
    if problems := [problem for problem, holds in constraints.items() if not holds]:
        raise ContradictorySettings(problems)


def describe_problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Describe each wrong setting in a line.

    Args:
        error: the error that pydantic raised.
        model: the model that it validated.
    """
    problems = error.errors()
    paths = [problem["loc"] for problem in problems]
    lines: list[str] = []
    for problem in problems:
        path = problem["loc"]
        if any(other != path and other[: len(path)] == path for other in paths):
            continue  # wrong only because a value inside it is wrong
        lines.extend(_describe(problem, model))
    return list(dict.fromkeys(lines))


def find_converted_values(value: Any, annotation: Any, path: tuple[int | str, ...] = ()) -> Iterator[str]:
    """Yield a line for each value that pydantic would convert in silence: `true` and "5" are no numbers, 1 is no truth.

    Pydantic's strict mode refuses lists in the place of tuples as soon as a model has a validator of mode `before`.

    Args:
        value: settings as `cdk.json` has them.
        annotation: the model, or the type of a setting.
        path: path of the value.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_converted_values(inner, _inner_annotation(annotation, str(key)), (*path, str(key)))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from find_converted_values(inner, _inner_annotation(annotation, position), (*path, position))
    else:
        types = set(_alternatives(annotation))
        takes_numbers = bool(types & {int, float}) and not types & {bool, str}
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{join_path(path)} is not a finite number; allowed is a number"
        elif isinstance(value, bool | str) and takes_numbers:
            allowed = _TYPES["float" if float in types else "int"]
            yield f"{join_path(path)} is {quote_value(value)}; allowed is {allowed}"
        elif value is not None and not isinstance(value, bool) and bool in types and str not in types:
            yield f"{join_path(path)} is {quote_value(value)}; allowed is {_TYPES['bool']}"


def nearest(word: str, allowed: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the allowed word that a misspelt word most likely means; None: none is near.

    Args:
        word: the misspelt word.
        allowed: allowed words.
        similarity: lowest similarity, from 0 to 1 (`difflib`).
    """
    matches = difflib.get_close_matches(word.lower(), sorted(allowed), n=1, cutoff=similarity)
    return matches[0] if matches else None


def quote_value(value: Any) -> str:
    """Quote a wrong value; a long value is cut."""
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 1]}…"


def join_path(parts: Sequence[int | str]) -> str:
    """Join the parts of a path as `cdk.json` has them: `environments.production.services.0.cluster`."""
    return ".".join(_printable(str(part)) for part in parts if part != "[key]")


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _describe(problem: ErrorDetails, model: type[BaseModel]) -> Iterator[str]:
    path, kind, value = problem["loc"], problem["type"], problem["input"]
    cause = problem.get("ctx", {}).get("error")
    owner = _model_at(model, path)
    if isinstance(cause, ContradictorySettings):
        yield from (_prepend_path(path, text, owner) for text in cause.problems)
    elif kind == "value_error":
        text = problem["msg"].removeprefix("Value error, ")
        is_object = isinstance(value, Mapping | BaseModel | list | tuple)
        yield _prepend_path(path, text, owner) if is_object else f"{join_path(path)} is {quote_value(value)}; {text}"
    elif kind == "extra_forbidden":
        yield f"{join_path(path)} is not a setting{_describe_allowed_keys(str(path[-1]), _model_at(model, path[:-1]))}"
    elif kind == "missing":
        yield f"{join_path(path)} is missing; the setting has no default"
    else:
        yield f"{join_path(path)} is {_quote_input(kind, value)}; {_describe_allowed(problem)}"


def _prepend_path(path: Sequence[int | str], text: str, owner: type[BaseModel] | None) -> str:
    """Complete a problem's relative path; a text that begins with the whole path is left alone."""
    first_word = text.split(" ", maxsplit=1)[0].split(".", maxsplit=1)[0]
    if not path:
        return text
    last = str(path[-1])
    if text.startswith((f"{last}.", f"{last} ")):  # a text that names its own model first
        return join_path(path[:-1]) + "." + text if path[:-1] else text
    separator = "." if owner is not None and first_word in owner.model_fields else ": "
    return f"{join_path(path)}{separator}{text}"


def _quote_input(kind: str, value: Any) -> str:
    if kind in {"too_short", "too_long"} and isinstance(value, Sequence | Mapping):
        return "empty" if not value else f"a list of {len(value)}"
    return "empty" if value == "" else quote_value(value)


def _describe_allowed(problem: ErrorDetails) -> str:
    kind, details = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"allowed is {words} {details[name]:g}"
    if kind in {"literal_error", "enum"}:
        return f"allowed is {details['expected']}{_suggest_choice(problem)}"
    if kind == "string_pattern_mismatch":
        return f"allowed is text that matches {details['pattern']}"
    if kind == "string_too_short":
        return f"allowed are at least {details['min_length']} characters"
    if kind == "string_too_long":
        return f"allowed are at most {details['max_length']} characters"
    if kind in {"too_short", "too_long"}:
        bound = "at least" if kind == "too_short" else "at most"
        return f"allowed are {bound} {details.get('min_length', details.get('max_length'))}"
    for name, words in _TYPES.items():
        if kind.startswith(f"{name}_"):
            return f"allowed is {words}"
    return problem["msg"]


def _suggest_choice(problem: ErrorDetails) -> str:
    choices = [choice.strip("' ") for choice in str(problem["ctx"]["expected"]).replace(" or ", ",").split(",")]
    suggestion = nearest(str(problem["input"]), choices)
    return f"; did you mean {suggestion!r}?" if suggestion else ""


def _describe_allowed_keys(key: str, owner: type[BaseModel] | None) -> str:
    if owner is None:
        return ""
    suggestion = nearest(key, owner.model_fields)
    did_you_mean = f"; did you mean {suggestion}?" if suggestion else ";"
    names = sorted(owner.model_fields)
    if len(names) > _MAX_KEYS:
        return did_you_mean if suggestion else f"; allowed are the {len(names)} names in the reference of the settings"
    return f"{did_you_mean} allowed: {', '.join(names)}"


def _model_at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """Find the model that describes the object at a path; None: no model does."""
    annotation: Any = model
    for part in path:
        annotation = _inner_annotation(annotation, part)
    return _as_model(annotation)


def _inner_annotation(annotation: Any, part: int | str) -> Any:
    owner = _as_model(annotation)
    if owner is not None:
        field = owner.model_fields.get(str(part))
        return field.annotation if field is not None else None
    for candidate in _alternatives(annotation):
        arguments = get_args(candidate)
        origin = get_origin(candidate)
        if origin in {tuple, list} and isinstance(part, int) and arguments:
            return arguments[0]
        if origin is dict:
            return arguments[1]
    return None


def _as_model(annotation: Any) -> type[BaseModel] | None:
    for candidate in _alternatives(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, without what `Annotated` adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for argument in get_args(annotation):
            yield from _alternatives(argument)
    else:
        yield annotation
