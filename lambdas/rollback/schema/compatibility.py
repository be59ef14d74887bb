"""Judge whether a release can work with the live schema: by the journals first, by the structure last.

The journals show which migrations were applied since: none, only more, or an unknown set. The structure
(`structure_diff`) then overrules the journals in both directions, for what a structure can show:
    - Drift that no journal lists is breaking.
    - A breaking migration that touches nothing of the target's is compatible.
Rewritten rows show in no structure, so an unclassified migration stays unknown. Unknown blocks (rule 12: only a
compatible schema lets a rollback through).
"""

from collections.abc import Iterable

from rollback.domain.database.migration_impact import Impact, MigrationImpact, combine_impacts
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import (
    Compatibility,
    Finding,
    JournalRelation,
    SchemaVerdict,
    find_worst,
)
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.attribution import Attribution, attribute_break
from rollback.schema.invisible_changes import mark_invisible_changes
from rollback.schema.journals import (
    JournalComparison,
    compare_journals,
    find_plain_files_absent_from,
    find_shipped_file,
    has_plain_files,
    impact_of_row,
    list_unfinished,
    migration_label,
)
from rollback.schema.structure_diff import compare_structures


def judge_schema(
    target: ReleaseSchema | None,
    live: LiveSchema,
    journal: tuple[Migration, ...] | None,
    other_files: Iterable[ShippedMigration] = (),
) -> SchemaVerdict:
    """Judge whether the target could run on the live schema if the service alone went back.

    Args:
        target: the schema recorded for the release to go back to; None: none was recorded.
        live: the structure now.
        journal: rows of all tools' journals in the database now; None: the database has no journal.
        other_files: migrations that any release has shipped. The running release shipped the extra ones.
    """
    target = target or ReleaseSchema()
    shipped = (*other_files, *(target.shipped or ()))
    journals = compare_journals(target, journal, shipped)
    impact = _impact_since(target, live, journals, shipped)
    findings = None if target.recorded_schema is None else compare_structures(target.recorded_schema, live)
    compatibility, reason = _apply_rules(journals.relation, impact, None if findings is None else find_worst(findings))
    unfinished = list_unfinished(journal)
    if unfinished and compatibility is Compatibility.COMPATIBLE:
        compatibility, reason = Compatibility.UNKNOWN, "a journal does not list all applied migrations"
    files = tuple(find_shipped_file(row, shipped) for row in journals.extra_rows)
    attribution = Attribution()
    if compatibility is Compatibility.BREAKING and journals.relation is not JournalRelation.BEHIND:
        attribution = attribute_break(target, live, findings, tuple(filter(None, files)), shipped)
    return SchemaVerdict(
        compatibility=compatibility,
        reason="; ".join((reason, *_details(compatibility, findings, unfinished, impact))),
        journal=journals.relation,
        since=_label_migrations(journals.extra_rows, files),
        can_step_down=bool(files) and all(file is not None and file.has_down for file in files),
        impact=impact,
        findings=findings,
        attributed_to=attribution.tags,
        unexplained=attribution.unexplained,
    )


def _label_migrations(rows: tuple[Migration, ...], files: tuple[ShippedMigration | None, ...]) -> tuple[str, ...]:
    """Tags of the shipped files; a row that no release shipped has its own label."""
    return tuple(migration_label(row) if file is None else file.tag for row, file in zip(rows, files, strict=True))


def _impact_since(
    target: ReleaseSchema, live: LiveSchema, journals: JournalComparison, shipped: tuple[ShippedMigration, ...]
) -> MigrationImpact | None:
    """Combine the classes of all that was applied since the target; None: nothing is known to have been applied.

    No journal lists plain SQL files. A plain file that the target did not ship counts as applied.
    """
    row_impacts = [impact_of_row(row, shipped) for row in journals.extra_rows]
    plain_file_impacts = [file.impact for file in find_plain_files_absent_from(target.shipped or (), shipped)]
    is_plain_folder = journals.is_absent and has_plain_files(shipped)
    if not (row_impacts or plain_file_impacts or is_plain_folder):
        return None
    impact = combine_impacts((*row_impacts, *plain_file_impacts))
    if target.recorded_schema is None:
        return impact
    return mark_invisible_changes(impact, target.recorded_schema, live)


def _apply_rules(
    relation: JournalRelation, impact: MigrationImpact | None, structure: Compatibility | None
) -> tuple[Compatibility, str]:
    """Decide by relation, impact and structure, and say why.

    Args:
        relation: the live journal, compared with the target's.
        impact: the combined class of all that was applied since; None: nothing is known to have been applied.
        structure: the structure's own verdict; None: the target has no snapshot to compare with.
    """
    if relation is JournalRelation.BEHIND:
        return Compatibility.BREAKING, "the database lacks migrations that the target needs: migrate it first"
    if structure is Compatibility.BREAKING:
        return structure, "the target can't work with the live schema"
    by_journal = _judge_by_journal(relation, impact, structure)
    if by_journal[0] is Compatibility.COMPATIBLE and structure is Compatibility.UNKNOWN:
        return structure, "the structure does not show whether the target can work with the live schema"
    return by_journal


def _judge_by_journal(
    relation: JournalRelation, impact: MigrationImpact | None, structure: Compatibility | None
) -> tuple[Compatibility, str]:
    """Decide by the journals; a structure that is not breaking may only clear a migration of its class."""
    match relation:
        case JournalRelation.AHEAD:
            return _judge_by_impact(impact, structure)
        case JournalRelation.EQUAL if impact is not None:
            return _judge_by_impact(impact, structure)
        case JournalRelation.EQUAL:
            return Compatibility.COMPATIBLE, "the same migrations are applied as when the target was good"
        case JournalRelation.DIVERGED:
            return Compatibility.UNKNOWN, "the database has other migrations than the target, not only more"
        case JournalRelation.ONE_SIDED:
            return Compatibility.UNKNOWN, "the journal of the target or of the database is not known"
        case JournalRelation.ABSENT if structure is None:
            return Compatibility.UNKNOWN, "there is no journal, and the schema that the target ran on is not known"
        case JournalRelation.ABSENT if impact is not None:
            return _judge_by_impact(impact, structure)
        case JournalRelation.ABSENT:
            return Compatibility.COMPATIBLE, "there is no journal; the live schema has all that the target ran on"
        case JournalRelation.BEHIND:
            raise ValueError("a database that lacks the target's migrations is judged before its journals are")


def _judge_by_impact(impact: MigrationImpact | None, structure: Compatibility | None) -> tuple[Compatibility, str]:
    worst = Impact.UNKNOWN if impact is None else impact.impact
    if worst in (Impact.NONE, Impact.ADDITIVE):
        return Compatibility.COMPATIBLE, "the migrations applied since the target only add to the schema"
    if structure is Compatibility.COMPATIBLE and impact is not None and impact.is_visible_in_structure:
        return Compatibility.COMPATIBLE, "the migrations applied since the target changed nothing that it ran on"
    if worst is Impact.BREAKING and structure is not Compatibility.UNKNOWN:
        return Compatibility.BREAKING, "the migrations applied since the target break it"
    return Compatibility.UNKNOWN, "the migrations applied since the target are not known to be harmless"


def _details(
    compatibility: Compatibility,
    findings: tuple[Finding, ...] | None,
    unfinished: tuple[str, ...],
    impact: MigrationImpact | None,
) -> tuple[str, ...]:
    """List the evidence behind a verdict that blocks; a compatible one has none."""
    if compatibility is Compatibility.COMPATIBLE:
        return ()
    differences = [finding.difference for finding in findings or () if finding.compatibility is compatibility]
    return (*differences, *unfinished, *(impact.reasons if impact is not None else ()))
