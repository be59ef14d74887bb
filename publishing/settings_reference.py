"""The reference of all settings in `cdk.json`, generated from the JSON Schema of the pydantic models.

Settings are definition lists, not tables: a list needs no sideways scrolling on a phone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollback_constructs.settings.environment import Application, Environment

Schema = Mapping[str, Any]
_REFERENCE = "#/$defs/"
_ATTRIBUTE = re.compile(r"^\s+(\w+): (.+?)(?=^\s+\w+: |\Z)", re.MULTILINE | re.DOTALL)

_INTRODUCTION = """# Settings

Every setting in `cdk.json`, generated from the code. `application` and `environments` are members of `context`.
A wrong value fails `cdk synth`; the message has its path, its value and what is allowed. The name of a number has
its unit.

The pages by task say when a setting is useful: [attach to your service](../attach.md), [database](../database.md),
[verification](../verification.md), [approval](../approval.md), [drills](../drills.md).
"""


_DEFAULTS = {"": "required", "{…}": "optional", "null": "default: none"}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        path: path below `context`, such as `environments.<name>.policy.mode`.
        kind: type and allowed values, in words.
        default: JSON text of the default; `{…}`: an object with the defaults of its own settings; None: required.
        description: meaning; empty if neither the field nor its model says one.
    """

    path: str
    kind: str
    default: str | None
    description: str

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Group:
    """Settings of one model, with the first sentence about it."""

    path: str
    summary: str
    settings: tuple[Setting, ...]


def list_groups() -> tuple[Group, ...]:
    """List the settings of all models that `cdk.json` may have, in the order of their fields."""
    groups: list[Group] = []
    for root, path in ((Application, "application"), (Environment, "environments.<name>")):
        schema = root.model_json_schema()
        groups.extend(_groups_below(schema, schema.get("$defs", {}), path))
    return tuple(groups)


def render_settings() -> str:
    """Render the page in Markdown."""
    parts = [_INTRODUCTION]
    for group in list_groups():
        parts.append(f"\n## {_heading(group.path)} {{ #{_anchor(group.path)} }}\n\n`{group.path}`: {group.summary}\n")
        for setting in group.settings:
            default = _DEFAULTS.get(setting.default or "", f"default `{setting.default}`")
            parts.append(f"\n`{setting.name}`\n:   *{setting.kind}; {default}.* {_sentence(setting.description)}\n")
    return "".join(parts)


def _groups_below(schema: Schema, definitions: Schema, path: str) -> Iterator[Group]:
    attributes = _documented_attributes(schema.get("description", ""))
    required = set(schema.get("required", ()))
    settings = tuple(
        Setting(
            f"{path}.{name}",
            _kind(field, definitions, f"{path}.{name}"),
            None if name in required else _default(field.get("default")),
            field.get("description") or attributes.get(name) or _summary_of_model(field, definitions),
        )
        for name, field in schema["properties"].items()
    )
    yield Group(path, _summary(schema.get("description", "")), settings)
    for name, field in schema["properties"].items():
        for nested, suffix in _nested_models(field, definitions):
            yield from _groups_below(nested, definitions, f"{path}.{name}{suffix}")


def _nested_models(field: Schema, definitions: Schema) -> Iterator[tuple[Schema, str]]:
    """Yield the models inside a field, with `[]` for those in a list."""
    if "$ref" in field:
        definition = definitions[field["$ref"].removeprefix(_REFERENCE)]
        if "properties" in definition:
            yield definition, ""
    for option in field.get("anyOf", ()):
        yield from _nested_models(option, definitions)
    if "items" in field:
        yield from ((model, "[]") for model, _ in _nested_models(field["items"], definitions))


def _kind(field: Schema, definitions: Schema, path: str) -> str:
    if "$ref" in field:
        definition = definitions[field["$ref"].removeprefix(_REFERENCE)]
        if "enum" in definition:
            return _choices(definition["enum"])
        return f"[object](#{_anchor(path)})"
    if "anyOf" in field:
        return " or ".join(_kind(option, definitions, path) for option in field["anyOf"])
    if "enum" in field:
        return _choices(field["enum"])
    if "const" in field:
        return _choices([field["const"]])
    match field.get("type"):
        case "array":
            items = field.get("items") or {}
            return f"list of {_kind(items, definitions, path + '[]')}{_limits(field, 'Items', 'item')}"
        case "object":
            return "object of names and texts"
        case "boolean":
            return "`true` or `false`"
        case "null":
            return "`null`"
        case "integer":
            return f"whole number{_range(field)}"
        case "number":
            return f"number{_range(field)}"
        case _:
            pattern = f" that matches `{field['pattern']}`" if "pattern" in field else ""
            return f"text{pattern}{_limits(field, 'Length', 'character')}"


def _choices(values: list[Any]) -> str:
    return " or ".join(f"`{_json_text(value)}`" for value in values)


def _range(field: Schema) -> str:
    words = {
        "exclusiveMinimum": "above",
        "minimum": "at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
        "multipleOf": "a multiple of",
    }
    limits = [f"{word} {field[key]:g}" for key, word in words.items() if key in field]
    return f", {', '.join(limits)}" if limits else ""


def _limits(field: Schema, suffix: str, noun: str) -> str:
    words = {f"min{suffix}": "at least", f"max{suffix}": "at most"}
    limits = [f"{word} {field[key]} {noun}{'s' * (field[key] != 1)}" for key, word in words.items() if key in field]
    return f", {', '.join(limits)}" if limits else ""


def _default(value: Any) -> str:
    return "{…}" if isinstance(value, Mapping) and value else _json_text(value)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _documented_attributes(docstring: str) -> dict[str, str]:
    """Read the section `Attributes:` of a model's docstring."""
    _, _, section = docstring.partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}


def _summary(docstring: str) -> str:
    paragraph = docstring.partition("\n\n")[0]
    return " ".join(paragraph.split())


def _summary_of_model(field: Schema, definitions: Schema) -> str:
    """Return the first paragraph about the model of a field; empty if the field holds no model."""
    model = next(_nested_models(field, definitions), None)
    return _summary(model[0].get("description", "")) if model is not None else ""


def _heading(path: str) -> str:
    return path.removeprefix("environments.<name>.") if path.count(".") > 1 else path.replace("<name>", "*name*")


def _anchor(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")


def _sentence(text: str) -> str:
    first = text[:1].upper() + text[1:]
    return first if first.endswith((".", "`")) else f"{first}."
