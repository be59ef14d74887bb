"""Names that a migration removed and that are there all the same: something that we did not see made them again."""

import re
from collections.abc import Iterable, Iterator

from rollback.domain.database.migration_impact import MigrationImpact
from rollback.resources.database.postgres import LiveSchema

# How a classification of an older version tells it: in its reasons alone.
_DROPPED = re.compile(r"drop (?:materialized )?(?P<kind>table|view|sequence|function) (?P<names>.+)")
_COLUMN = re.compile(r"(?P<table>\S+): (?:drop|rename) column (?:if exists )?(?P<column>\S+).*")


def list_removed_names(impact: MigrationImpact) -> tuple[str, ...]:
    """`kind name` of what a migration drops or renames, also where an older version classified it."""
    told = (name for reason in impact.reasons for name in _parse_reason(reason))
    return tuple(dict.fromkeys((*impact.removes, *told)))


def _parse_reason(reason: str) -> Iterator[str]:
    dropped, column = _DROPPED.fullmatch(reason), _COLUMN.fullmatch(reason)
    if dropped is not None:
        yield from (f"{dropped['kind']} {name}" for name in dropped["names"].split(", "))
    if column is not None:
        yield f"column {column['table']}.{column['column']}"


def find_names_still_present(removes: Iterable[str], recorded_schema: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """Those of the removed names (`MigrationImpact.removes`) that the target ran on and the live structure has.

    A bare name may be of any schema, since the session's search path is not known.
    """
    before, now = frozenset(_names(recorded_schema)), frozenset(_names(live))
    both = before & now
    return tuple(name for name in removes if any(_is_same_name(name, there) for there in both))


def _is_same_name(removed: str, there: str) -> bool:
    kind, _, name = removed.partition(" ")
    there_kind, _, there_name = there.partition(" ")
    return kind == there_kind and (there_name == name or there_name.endswith(f".{name}"))


def _names(schema: LiveSchema) -> Iterator[str]:
    for kind, relations in (("table", schema.tables), ("view", schema.views)):
        for relation, columns in relations.items():
            yield f"{kind} {relation}"
            yield from (f"column {relation}.{column}" for column in columns)
    yield from (f"sequence {one.name}" for one in schema.objects if one.kind == "sequence")
