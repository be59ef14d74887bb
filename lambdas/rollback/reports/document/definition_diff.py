"""Difference between two task definitions, without values that may be secret.

Environment variables are named only. Secrets are shown by reference. Values of other members are shown only if they are
in an allow-list, because a command, a label or an option of the log driver may hold a password.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rollback.reports.document.model import Difference
from rollback.resources.aws.task_definition import normal_form

_SHOWN_OF_TASK = frozenset(
    {"cpu", "memory", "networkMode", "taskRoleArn", "executionRoleArn", "runtimePlatform", "ephemeralStorage",
     "requiresCompatibilities", "pidMode", "ipcMode", "enableFaultInjection"}
)  # fmt: skip
_SHOWN_OF_CONTAINER = frozenset(
    {"image", "cpu", "memory", "memoryReservation", "essential", "portMappings", "ulimits", "startTimeout",
     "stopTimeout", "user", "workingDirectory", "readonlyRootFilesystem", "privileged", "dependsOn"}
)  # fmt: skip
_Members = Mapping[str, Any]


def definition_differences(before: _Members, after: _Members) -> tuple[Difference, ...]:
    """List the differences between two definitions, as the ledger stores them or ECS describes them."""
    forms = normal_form(before, {}), normal_form(after, {})
    containers = tuple({c.get("name", ""): c for c in form.pop("containerDefinitions", ())} for form in forms)
    differences = list(_members("task", *forms, shown=_SHOWN_OF_TASK))
    for name in dict.fromkeys((*containers[0], *containers[1])):
        differences += _container(str(name), containers[0].get(name), containers[1].get(name))
    return tuple(differences)


def _container(name: str, before: _Members | None, after: _Members | None) -> Iterator[Difference]:
    where = f"container {name}"
    if before is None or after is None:
        change = "added" if before is None else "removed"
        images = ("", str((after or {}).get("image", ""))) if before is None else (str(before.get("image", "")), "")
        yield Difference(where=where, what="container", change=change, before=images[0], after=images[1])
        return
    named = ("environment", "secrets")
    plain = tuple({key: value for key, value in c.items() if key not in (*named, "name")} for c in (before, after))
    yield from _members(where, *plain, shown=_SHOWN_OF_CONTAINER)
    yield from _environment(where, before, after)
    yield from _secrets(where, before, after)


def _members(where: str, before: _Members, after: _Members, *, shown: frozenset[str]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        if before.get(name) == after.get(name):
            continue
        values = tuple(_text(side[name]) if name in side and name in shown else "" for side in (before, after))
        yield Difference(where=where, what=name, change=_change(name, before, after), before=values[0], after=values[1])


def _environment(where: str, before: _Members, after: _Members) -> Iterator[Difference]:
    values = tuple({v.get("name"): v.get("value") for v in side.get("environment", ())} for side in (before, after))
    for name in sorted({*map(str, values[0]), *map(str, values[1])}):
        if values[0].get(name) != values[1].get(name) or (name in values[0]) != (name in values[1]):
            yield Difference(where=where, what=f"variable {name}", change=_change(name, *values))


def _secrets(where: str, before: _Members, after: _Members) -> Iterator[Difference]:
    references = tuple({v.get("name"): v.get("valueFrom") for v in side.get("secrets", ())} for side in (before, after))
    for name in sorted({*map(str, references[0]), *map(str, references[1])}):
        if references[0].get(name) != references[1].get(name):
            texts = tuple(str(side.get(name) or "") for side in references)
            change = _change(name, *references)
            yield Difference(where=where, what=f"secret {name}", change=change, before=texts[0], after=texts[1])


def _change(name: str, before: _Members, after: _Members) -> str:
    if name not in before:
        return "added"
    return "removed" if name not in after else "changed"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
