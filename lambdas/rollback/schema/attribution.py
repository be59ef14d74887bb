"""Which shipped migration breaks a release: only that is evidence enough to overwrite a database's data.

A difference that no migration explains (a partition that retention dropped, a change by hand, a table of Neon's own)
says that the release can't run. It does not say that the data of an earlier time would mend it.
"""

import re
from collections.abc import Iterable, Iterator

from rollback.domain.database.migration_impact import Impact
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_finding import GONE, Compatibility, Finding
from rollback.resources.database.postgres import LiveSchema
from rollback.schema.removed_names import list_removed_names


def select_breaking(applied: Iterable[ShippedMigration]) -> tuple[ShippedMigration, ...]:
    """The migrations that are classified as breaking, in their order."""
    return tuple(one for one in applied if one.impact.impact is Impact.BREAKING)


def attribute_findings(
    findings: tuple[Finding, ...] | None,
    applied: tuple[ShippedMigration, ...],
    recorded_schema: LiveSchema | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tags of the migrations that break the release, and the differences that no migration explains.

    Without a breaking difference of the structure the classification alone decides: rewritten rows do not show.

    Args:
        findings: differences of the structure; None: there is no snapshot to compare with.
        applied: shipped migrations that the database applied after those of the release.
        recorded_schema: the structure of the release: a bare name means the table in `public`, if that has one.
    """
    suspects = select_breaking(applied)
    differences = tuple(one for one in findings or () if one.compatibility is Compatibility.BREAKING)
    if not differences:
        return tuple(one.tag for one in suspects), ()
    explained = [[_explains(suspect, one, recorded_schema) for one in differences] for suspect in suspects]
    guilty = tuple(one.tag for one, found in zip(suspects, explained, strict=True) if any(found))
    left = tuple(one.what for place, one in enumerate(differences) if not any(found[place] for found in explained))
    return guilty, left


def _explains(migration: ShippedMigration, difference: Finding, recorded_schema: LiveSchema | None) -> bool:
    """Whether the classification is about the object, by its whole name: the table's, and the column's if it is one's.

    What is gone is explained by what drops or renames it only. What a CASCADE took along is not explained.
    """
    names = tuple(_called(difference.about, recorded_schema))
    removed, reasons = list_removed_names(migration.impact), migration.impact.reasons
    if GONE in difference.what:
        return any(f"{difference.what.split(' ', maxsplit=1)[0]} {name}" in removed for name in names)
    named = {one.partition(" ")[2] for one in (*removed, *_renamed_to(migration))}
    return any(name in named or any(_is_about(reason, name) for reason in reasons) for name in names)


def _renamed_to(migration: ShippedMigration) -> Iterator[str]:
    """New columns of a table that lost some."""
    kind = "column "
    tables = {one.rpartition(".")[0] for one in migration.impact.removes if one.startswith(kind)}
    yield from (one for one in migration.impact.makes if one.startswith(kind) and one.rpartition(".")[0] in tables)


def _called(about: str, recorded_schema: LiveSchema | None) -> Iterator[str]:
    """The names by which a classification may call an object: without `public`, or bare by a search path of a role's.

    A function goes without its arguments, and a type without the quotes of `format_type`.
    """
    name = about.split("(", maxsplit=1)[0].replace('"', "").removeprefix("public.")
    if not name:
        return
    yield name
    bare = name.partition(".")[2]
    if about.startswith("public.") or not bare:
        return
    known = {*recorded_schema.tables, *recorded_schema.views} if recorded_schema is not None else set[str]()
    if f"public.{bare}" not in known and f"public.{bare.rpartition('.')[0]}" not in known:
        yield bare


def _is_about(reason: str, name: str) -> bool:
    """Whether a reason of the classification begins with the name, or has it where the text tells the table.

    An older version says `table: alter column name …`.
    """
    table, _, column = (re.escape(part) for part in name.rpartition("."))
    shapes = [rf"{re.escape(name)}(?:: | is | has )", rf"a (?:new )?[\w ]+ on {re.escape(name)}: "]
    if table:
        shapes.append(rf"{table}: (?:\w+ )+column {column}(?![\w$])")
    return any(re.match(shape, reason) for shape in shapes)
