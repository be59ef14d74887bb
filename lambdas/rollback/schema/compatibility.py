"""Whether a release can work with the schema that is live: the journals first, the structure last.

The journals tell what happened since: nothing, only more, or what can't be told. The structure (`schema_structure`)
has the final word about what it can see, in both directions: drift that no journal knows is breaking, and a breaking
migration of which nothing touches the target is not. It has none about what it can't see: rows that were rewritten
by a migration that nobody has classified. What stays unknown blocks.
"""

from collections.abc import Iterable

from rollback.domain.database.migration_impact import Impact, MigrationImpact, combine_impacts
from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_finding import Compatibility, Finding, worst
from rollback.domain.database.schema_verdict import (
    JournalRelation,
    SchemaVerdict,
)
from rollback.resources.database.application_schema import not_compared
from rollback.resources.database.postgres import LiveSchema, Migration
from rollback.schema.attribution import attribute_findings
from rollback.schema.journals import (
    find_files_absent_from,
    find_shipped_file,
    impact_of,
    migration_label,
    unfinished,
    with_ancestors,
)
from rollback.schema.removed_names import find_names_still_present, list_removed_names
from rollback.schema.structure_diff import judge_structure


def judge_schema(
    target: ReleaseSchema | None,
    live: LiveSchema,
    journal: tuple[Migration, ...] | None,
    known: Iterable[ShippedMigration] = (),
) -> SchemaVerdict:
    """The verdict on a rollback of the service alone.

    Args:
        target: of the release to go back to; None: nothing was recorded.
        live: the structure now.
        journal: of all tools, in the database now; None: there is none.
        known: what any release has shipped: the extra migrations are the running one's.
    """
    target = target or ReleaseSchema()
    shipped = (*known, *(target.shipped or ()))
    expected_journal = None if target.expected_journal is None else with_ancestors(target.expected_journal, shipped)
    applied = None if journal is None else with_ancestors(journal, shipped)
    relation = _relation(expected_journal, applied)
    extra = _extra(expected_journal, applied) if relation in (JournalRelation.AHEAD, JournalRelation.DIVERGED) else ()
    impact = combine_impacts(impact_of(one, shipped) for one in extra) if extra else None
    if relation is JournalRelation.ABSENT:
        relation = relation if target.has_searched_all_journals else JournalRelation.ONE_SIDED
        impact = _of_plain_files(target, shipped)
    elif find_files_absent_from(target.shipped or (), shipped):  # the journal is another tool's
        impact = combine_impacts((*(impact_of(one, shipped) for one in extra), *_plain(target, shipped)))
    if impact is not None and target.recorded_schema is not None:
        impact = _seen_in(target.recorded_schema, live, impact)
    findings = None if target.recorded_schema is None else judge_structure(target.recorded_schema, live)
    compatibility, reason = _verdict(relation, impact, None if findings is None else worst(findings))
    begun = unfinished(journal)
    if begun and compatibility is Compatibility.COMPATIBLE:
        compatibility, reason = Compatibility.UNKNOWN, "a journal does not tell what is applied"
    said = [one.what for one in findings or () if one.compatibility is compatibility]
    told = (*said, *begun) if compatibility is not Compatibility.COMPATIBLE else ()
    files = tuple(find_shipped_file(one, shipped) for one in extra)
    is_breaking = compatibility is Compatibility.BREAKING and relation is not JournalRelation.BEHIND
    applied_since = tuple(one for one in files if one is not None)
    attributed_to, unexplained = (
        _attributed(target, live, findings, applied_since, shipped) if is_breaking else ((), ())
    )
    return SchemaVerdict(
        compatibility=compatibility,
        reason="; ".join((reason, *told, *_why(compatibility, impact))),
        journal=relation,
        since=tuple(migration_label(row) if file is None else file.tag for row, file in zip(extra, files, strict=True)),
        can_step_down=bool(extra) and all(file is not None and file.has_down for file in files),
        impact=impact,
        findings=findings,
        attributed_to=attributed_to,
        unexplained=unexplained,
    )


def _attributed(
    target: ReleaseSchema,
    live: LiveSchema,
    findings: tuple[Finding, ...] | None,
    applied_since: tuple[ShippedMigration, ...],
    shipped: tuple[ShippedMigration, ...],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What explains the verdict, and what nothing explains: a class is evidence only of what was applied, and counts.

    No journal tells that a plain file was applied: only a difference that it explains does. What was removed and is
    there again was made by something that no migration tells of.
    """
    plain = find_files_absent_from(target.shipped, shipped) if target.shipped is not None else ()
    attributed_to, unexplained = attribute_findings(findings, (*applied_since, *plain), target.recorded_schema)
    if any(one.compatibility is Compatibility.BREAKING for one in findings or ()):
        return attributed_to, unexplained
    attributed_to, _ = attribute_findings((), applied_since)
    if target.recorded_schema is None or not attributed_to:
        return attributed_to, ()
    impact = combine_impacts(one.impact for one in applied_since)
    again = find_names_still_present(_told_removed(impact), target.recorded_schema, live)
    by_others = tuple(f"{name} was removed, and is there again" for name in again if name not in impact.makes)
    return attributed_to, by_others


def _told_removed(impact: MigrationImpact) -> tuple[str, ...]:
    """With the tables, views and sequences that an older version told in its reasons alone."""
    older = (name for name in list_removed_names(impact) if not name.startswith("column "))
    return tuple(dict.fromkeys((*impact.removes, *older)))


def _relation(expected_journal: tuple[Migration, ...] | None, journal: tuple[Migration, ...] | None) -> JournalRelation:
    if expected_journal is None or journal is None:
        return JournalRelation.ABSENT if expected_journal is None and journal is None else JournalRelation.ONE_SIDED
    applied, expected = {one.key for one in journal}, {one.key for one in expected_journal}
    if applied == expected:
        return JournalRelation.EQUAL
    if applied > expected:
        return JournalRelation.AHEAD
    return JournalRelation.BEHIND if applied < expected else JournalRelation.DIVERGED


def _extra(
    expected_journal: tuple[Migration, ...] | None, journal: tuple[Migration, ...] | None
) -> tuple[Migration, ...]:
    expected = {one.key for one in expected_journal or ()}
    return tuple(one for one in journal or () if one.key not in expected)


def _seen_in(recorded_schema: LiveSchema, live: LiveSchema, impact: MigrationImpact) -> MigrationImpact:
    """What was removed and is there all the same was made again, by a person or another tool: that does not show.

    Neither does what is left out of the structure. Retention drops partitions, so that is no proof of a break either.
    """
    again = find_names_still_present(_told_removed(impact), recorded_schema, live)
    left_out = not_compared((*impact.reasons, *impact.removes), recorded_schema, live)
    if not again and not left_out:
        return impact
    reasons = [*impact.reasons, *(f"{name} was removed, and is there again" for name in again)]
    reasons += [f"{name} is left out of the structure that is compared" for name in left_out]
    changes = {"is_visible_in_structure": False, "reasons": tuple(dict.fromkeys(reasons))}
    if left_out and impact.impact is Impact.BREAKING:
        changes["impact"] = Impact.UNKNOWN
    return impact.model_copy(update=changes)


def _of_plain_files(target: ReleaseSchema, known: tuple[ShippedMigration, ...]) -> MigrationImpact | None:
    """Without a journal: the files that pipelines told of and the target had not; None: nobody told of any."""
    if not any(one.tool == MigrationTool.SQL for one in known):
        return None
    return combine_impacts(_plain(target, known))


def _plain(target: ReleaseSchema, known: tuple[ShippedMigration, ...]) -> tuple[MigrationImpact, ...]:
    return tuple(one.impact for one in find_files_absent_from(target.shipped or (), known))


def _verdict(
    relation: JournalRelation, impact: MigrationImpact | None, structure: Compatibility | None
) -> tuple[Compatibility, str]:
    """`structure`: None: it can't be compared."""
    if relation is JournalRelation.BEHIND:
        return Compatibility.BREAKING, "the database lacks migrations that the target needs: migrate it first"
    if structure is Compatibility.BREAKING:
        return structure, "the target can't work with the live schema"
    match relation:
        case JournalRelation.EQUAL if impact is not None:
            ours = _since(impact, structure)
        case JournalRelation.EQUAL:
            ours = Compatibility.COMPATIBLE, "the same migrations are applied as when the target was good"
        case JournalRelation.AHEAD:
            ours = _since(impact, structure)
        case JournalRelation.DIVERGED:
            ours = Compatibility.UNKNOWN, "the database has other migrations than the target, not only more"
        case JournalRelation.ONE_SIDED:
            ours = Compatibility.UNKNOWN, "the journal of the target or of the database is not known"
        case JournalRelation.ABSENT if structure is None:
            ours = Compatibility.UNKNOWN, "there is no journal, and it is not known what the target ran on"
        case JournalRelation.ABSENT if impact is not None:
            ours = _since(impact, structure)
        case JournalRelation.ABSENT:
            ours = Compatibility.COMPATIBLE, "there is no journal; the live schema has all that the target ran on"
    if ours[0] is Compatibility.COMPATIBLE and structure is Compatibility.UNKNOWN:
        return structure, "whether the target can work with the live schema can't be told"
    return ours


def _since(impact: MigrationImpact | None, structure: Compatibility | None) -> tuple[Compatibility, str]:
    """What was applied since the target."""
    worst_of_them = Impact.UNKNOWN if impact is None else impact.impact
    if worst_of_them in (Impact.NONE, Impact.ADDITIVE):
        return Compatibility.COMPATIBLE, "what was applied since the target only adds"
    if structure is Compatibility.COMPATIBLE and impact is not None and impact.is_visible_in_structure:
        return Compatibility.COMPATIBLE, "what was applied since leaves all that the target ran on as it was"
    if worst_of_them is Impact.BREAKING and structure is not Compatibility.UNKNOWN:
        return Compatibility.BREAKING, "what was applied since the target breaks it"
    return Compatibility.UNKNOWN, "what was applied since the target can't be told to be harmless"


def _why(compatibility: Compatibility, impact: MigrationImpact | None) -> tuple[str, ...]:
    if compatibility is Compatibility.COMPATIBLE or impact is None:
        return ()
    return impact.reasons
