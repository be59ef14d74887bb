"""Attribution of a break to shipped migrations: no other evidence suffices to overwrite a database's data.

A difference that no migration explains also stops the release from running. Examples are a partition that retention
dropped, a change by an operator, or a table of Neon's own. The data of an earlier time may have the same difference.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rollback.domain.database.migration_impact import Impact, combine_impacts
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import GONE, Compatibility, Finding
from rollback.resources.database.live_schema import LiveSchema
from rollback.schema.invisible_changes import find_recreated_names, list_removed_names
from rollback.schema.journals import find_plain_files_absent_from


@dataclass(frozen=True)
class Attribution:
    """Causes of a breaking verdict.

    Attributes:
        tags: shipped migrations that break the release.
        unexplained: differences that no shipped migration explains.
    """

    tags: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()


def attribute_break(
    target: ReleaseSchema,
    live: LiveSchema,
    findings: tuple[Finding, ...] | None,
    applied: tuple[ShippedMigration, ...],
    shipped: tuple[ShippedMigration, ...],
) -> Attribution:
    """Name the migrations that break the target, and the differences that none of them explains.

    A migration's class is evidence only if the migration was applied. No journal lists plain SQL files, so a plain
    file counts only where it explains a difference. A removed object that exists again was created by a change that
    no migration describes.

    Args:
        target: the schema recorded for the target.
        live: the structure now.
        findings: differences of the two structures; None: the target has no snapshot.
        applied: shipped migrations that the database applied after those of the target.
        shipped: all migrations that any release shipped.
    """
    plain_files = find_plain_files_absent_from(target.shipped, shipped) if target.shipped is not None else ()
    if any(finding.compatibility is Compatibility.BREAKING for finding in findings or ()):
        return attribute_findings(findings, (*applied, *plain_files), target.recorded_schema)
    class_attribution = attribute_findings((), applied)
    if target.recorded_schema is None or not class_attribution.tags:
        return class_attribution
    impact = combine_impacts(migration.impact for migration in applied)
    recreated = find_recreated_names(impact, target.recorded_schema, live)
    unexplained = tuple(f"{name} was removed and created again" for name in recreated if name not in impact.makes)
    return Attribution(class_attribution.tags, unexplained)


def attribute_findings(
    findings: tuple[Finding, ...] | None,
    applied: tuple[ShippedMigration, ...],
    recorded_schema: LiveSchema | None = None,
) -> Attribution:
    """Match breaking differences with the breaking migrations that explain them.

    Without a breaking difference, every breaking migration is named: rewritten rows show in no structure.

    Args:
        findings: differences of the structures; None: the target has no snapshot.
        applied: shipped migrations that the database applied after those of the release.
        recorded_schema: the structure of the release. A bare name means the table in `public`, if `public` has one.
    """
    suspects = select_breaking(applied)
    breaking_findings = tuple(finding for finding in findings or () if finding.compatibility is Compatibility.BREAKING)
    if not breaking_findings:
        return Attribution(tuple(suspect.tag for suspect in suspects))
    breaking_tags, explained_findings = list[str](), set[Finding]()
    for suspect in suspects:
        suspect_findings = [finding for finding in breaking_findings if _explains(suspect, finding, recorded_schema)]
        explained_findings.update(suspect_findings)
        if suspect_findings:
            breaking_tags.append(suspect.tag)
    unexplained = tuple(finding.difference for finding in breaking_findings if finding not in explained_findings)
    return Attribution(tuple(breaking_tags), unexplained)


def select_breaking(applied: Iterable[ShippedMigration]) -> tuple[ShippedMigration, ...]:
    """Keep the migrations that are classified as breaking, in their order."""
    return tuple(migration for migration in applied if migration.impact.impact is Impact.BREAKING)


def _explains(migration: ShippedMigration, finding: Finding, recorded_schema: LiveSchema | None) -> bool:
    """Compare whole names: the table's, and for a column also the column's.

    Only a drop or a rename explains an object that is gone. Objects that a CASCADE removed stay unexplained.
    """
    names = tuple(_possible_names(finding.object_name, recorded_schema))
    removed_names, reasons = list_removed_names(migration.impact), migration.impact.reasons
    if GONE in finding.difference:
        kind = finding.difference.partition(" ")[0]
        return any(f"{kind} {name}" in removed_names for name in names)
    changed_names = {
        kind_and_name.partition(" ")[2] for kind_and_name in (*removed_names, *_columns_renamed_to(migration))
    }
    return any(name in changed_names or any(_is_about(reason, name) for reason in reasons) for name in names)


def _columns_renamed_to(migration: ShippedMigration) -> Iterator[str]:
    """List new columns of each table that lost some."""
    kind = "column "
    removes, makes = migration.impact.removes, migration.impact.makes
    tables = {name.rpartition(".")[0] for name in removes if name.startswith(kind)}
    yield from (name for name in makes if name.startswith(kind) and name.rpartition(".")[0] in tables)


def _possible_names(object_name: str, recorded_schema: LiveSchema | None) -> Iterator[str]:
    """List the names that a classification may use for an object.

    `public` is left out. Another schema is left out too, since a role's search path may name it. A function loses its
    arguments, and a type loses the quotes of `format_type`.
    """
    name = object_name.split("(", maxsplit=1)[0].replace('"', "").removeprefix("public.")
    if not name:
        return
    yield name
    bare_name = name.partition(".")[2]
    if object_name.startswith("public.") or not bare_name:
        return
    relation_names = {*recorded_schema.tables, *recorded_schema.views} if recorded_schema is not None else set[str]()
    if f"public.{bare_name}" not in relation_names and f"public.{bare_name.rpartition('.')[0]}" not in relation_names:
        yield bare_name


def _is_about(reason: str, name: str) -> bool:
    """Match a reason that begins with the name, or that has the name where reasons name a table.

    A classification of an older version says `table: alter column name …`.
    """
    table, _, column = (re.escape(part) for part in name.rpartition("."))
    shapes = [rf"{re.escape(name)}(?:: | is | has )", rf"a (?:new )?[\w ]+ on {re.escape(name)}: "]
    if table:
        shapes.append(rf"{table}: (?:\w+ )+column {column}(?![\w$])")
    return any(re.match(shape, reason) for shape in shapes)
