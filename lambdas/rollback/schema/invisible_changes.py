"""Changes of a migration that a comparison of two structures does not show.

Two kinds exist:
    - The migration removed an object, and another change created an object of the same name.
    - The object is left out of the comparison: a partition, an object in one of Neon's schemas, a view's query.
"""

import re
from collections.abc import Iterable, Iterator

from rollback.domain.database.migration_impact import Impact, MigrationImpact
from rollback.resources.database.live_schema import NEON_SCHEMAS, LiveSchema

# A classification of an older version names what it removed in its reasons alone.
_DROPPED = re.compile(r"drop (?:materialized )?(?P<kind>table|view|sequence|function) (?P<names>.+)")
_COLUMN = re.compile(r"(?P<table>\S+): (?:drop|rename) column (?:if exists )?(?P<column>\S+).*")


def mark_invisible_changes(impact: MigrationImpact, recorded_schema: LiveSchema, live: LiveSchema) -> MigrationImpact:
    """Withdraw `is_visible_in_structure` where the structure can't show the change.

    An object that is left out of the comparison also turns breaking into unknown: retention drops partitions too, so
    a dropped partition does not prove a break.
    """
    recreated = find_recreated_names(impact, recorded_schema, live)
    left_out = find_names_left_out((*impact.reasons, *impact.removes), recorded_schema, live)
    if not recreated and not left_out:
        return impact
    reasons = [*impact.reasons, *(f"{name} was removed and created again" for name in recreated)]
    reasons += [f"{name} is left out of the structure that is compared" for name in left_out]
    changes = {"is_visible_in_structure": False, "reasons": tuple(dict.fromkeys(reasons))}
    if left_out and impact.impact is Impact.BREAKING:
        changes["impact"] = Impact.UNKNOWN
    return impact.model_copy(update=changes)


def find_recreated_names(impact: MigrationImpact, recorded_schema: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """`kind name` of removed objects that the target ran on and that the live structure has again.

    A bare name may be of any schema, since the session's search path is not known.
    """
    in_both = frozenset(_list_names(recorded_schema)) & frozenset(_list_names(live))
    return tuple(
        name for name in _list_names_to_look_for(impact) if any(_is_same_name(name, present) for present in in_both)
    )


def _list_names_to_look_for(impact: MigrationImpact) -> tuple[str, ...]:
    """Removed names; of an older version's reasons only tables, views, sequences and functions."""
    names_in_reasons = (name for name in list_removed_names(impact) if not name.startswith("column "))
    return tuple(dict.fromkeys((*impact.removes, *names_in_reasons)))


def list_removed_names(impact: MigrationImpact) -> tuple[str, ...]:
    """`kind name` of each object that a migration drops or renames, by whichever version it was classified."""
    names_in_reasons = (name for reason in impact.reasons for name in _parse_reason(reason))
    return tuple(dict.fromkeys((*impact.removes, *names_in_reasons)))


def _parse_reason(reason: str) -> Iterator[str]:
    drop, column_change = _DROPPED.fullmatch(reason), _COLUMN.fullmatch(reason)
    if drop is not None:
        yield from (f"{drop['kind']} {name}" for name in drop["names"].split(", "))
    if column_change is not None:
        yield f"column {column_change['table']}.{column_change['column']}"


def _is_same_name(removed: str, present: str) -> bool:
    kind, _, name = removed.partition(" ")
    present_kind, _, present_name = present.partition(" ")
    return kind == present_kind and (present_name == name or present_name.endswith(f".{name}"))


def _list_names(schema: LiveSchema) -> Iterator[str]:
    for kind, relations in (("table", schema.tables), ("view", schema.views)):
        for relation, columns in relations.items():
            yield f"{kind} {relation}"
            yield from (f"column {relation}.{column}" for column in columns)
    yield from (f"sequence {item.name}" for item in schema.objects if item.kind == "sequence")


def find_names_left_out(texts: Iterable[str], recorded_schema: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """`kind name` of each object that a classification mentions and that the comparison leaves out.

    Partitions and Neon's schemas are never compared. A view's query is not compared with a snapshot of an older
    version, which has none.

    Args:
        texts: reasons of the classification, and the names that it removes.
        recorded_schema: the structure of the target.
        live: the structure now.
    """
    text = "\n".join(texts)
    left_out = _list_names_left_out(recorded_schema, live)
    return tuple(dict.fromkeys(name for name, pattern in left_out if re.search(pattern, text)))


def _list_names_left_out(recorded_schema: LiveSchema, live: LiveSchema) -> Iterator[tuple[str, str]]:
    """Pairs of `kind name` and the pattern that finds the name in a classification."""
    for name in (*(recorded_schema.partitions or {}), *(live.partitions or {})):
        yield f"partition {name}", rf"(?<![\w$]){re.escape(name.split('.', maxsplit=1)[-1])}(?![\w$])"
    for name in NEON_SCHEMAS:
        yield f"schema {name}", rf"(?<![\w$.]){name}\."
    for name in recorded_schema.views if recorded_schema.view_bodies is None else ():
        yield f"view {name}", rf"view {re.escape(name.removeprefix('public.'))} may be replaced"
