"""Names that a migration removed and that are there all the same: something that we did not see made them again."""

from collections.abc import Iterable, Iterator

from rollback.model.database_content import LiveSchema


def still_there(removes: Iterable[str], ran_on: LiveSchema, live: LiveSchema) -> tuple[str, ...]:
    """Those of the removed names (`MigrationImpact.removes`) that the target ran on and the live structure has.

    A bare name may be of any schema, since the session's search path is not known.
    """
    before, now = frozenset(_names(ran_on)), frozenset(_names(live))
    both = before & now
    return tuple(name for name in removes if any(_means(name, there) for there in both))


def _means(removed: str, there: str) -> bool:
    kind, _, name = removed.partition(" ")
    there_kind, _, there_name = there.partition(" ")
    return kind == there_kind and (there_name == name or there_name.endswith(f".{name}"))


def _names(schema: LiveSchema) -> Iterator[str]:
    for kind, relations in (("table", schema.tables), ("view", schema.views)):
        for relation, columns in relations.items():
            yield f"{kind} {relation}"
            yield from (f"column {relation}.{column}" for column in columns)
    yield from (f"sequence {one.name}" for one in schema.objects if one.kind == "sequence")
