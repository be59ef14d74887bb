"""The order of judgement: journals first, the structure last; an unknown verdict blocks."""

import json
import shlex
from typing import Any

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from support.builders import release

from rollback.check import Verdict
from rollback.domain.database.migration_impact import ADDITIVE, NO_IMPACT, MigrationImpact, breaking, unknown
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, JournalRelation, SchemaVerdict, breaking_finding
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.request import Request, RollbackType, parse_request
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.attribution import Attribution, attribute_findings
from rollback.schema.compatibility import judge_schema
from rollback.schema.compatibility_check import (
    escalate_to_full,
    full_rollback_command,
    full_rollback_input,
    refusal_text,
    schema_check,
)
from rollback_cli.main import app

BREAKING, UNKNOWN, COMPATIBLE = Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE

_TEXT = Column(type="text", nullable=False, has_default=False)
RAN_ON = LiveSchema(tables={"public.users": {"name": _TEXT}})
STRUCTURES: dict[Compatibility, LiveSchema] = {
    COMPATIBLE: RAN_ON,
    UNKNOWN: LiveSchema(tables={"public.users": {"name": _TEXT.model_copy(update={"nullable": True})}}),
    BREAKING: LiveSchema(tables={}),
}
DROPS = breaking("drop table old")
WIPES = breaking("truncate users", shows=False)
REWRITES = unknown("rows of users are rewritten")
TRIGGERS = unknown("create trigger", shows=True)


def migration(number: int, impact: MigrationImpact = NO_IMPACT, **changes: Any) -> ShippedMigration:
    fields = {"tag": f"{number:04}_it", "created_at": number, "hash": f"{number:064x}", "impact": impact}
    return ShippedMigration.model_validate({**fields, **changes})


def make_journal(*migrations: ShippedMigration) -> tuple[Migration, ...]:
    return tuple(Migration(hash=migration.hash, created_at=migration.created_at) for migration in migrations)


FIRST = migration(1)


def judge_second_migration(
    since: MigrationImpact | None, structure: Compatibility | None, *, recorded: bool = True, has_down: bool = False
) -> SchemaVerdict:
    """Judge a target that ran with the first migration, after an additional migration.

    Args:
        since: class of the migration applied since; None: none was applied.
        structure: verdict of the structure; None: the target has no snapshot.
        recorded: a release shipped the migrations.
        has_down: the migration has a down file.
    """
    second_migration = None if since is None else migration(2, since, has_down=has_down)
    target = ReleaseSchema(journal=make_journal(FIRST), recorded_schema=None if structure is None else RAN_ON)
    shipped = (FIRST,) if second_migration is None else (FIRST, second_migration)
    return judge_schema(
        target, STRUCTURES[structure or COMPATIBLE], make_journal(*shipped), shipped if recorded else ()
    )


@pytest.mark.parametrize(
    ("since", "structure", "verdict"),
    [
        (None, None, COMPATIBLE),
        (None, COMPATIBLE, COMPATIBLE),
        (None, UNKNOWN, UNKNOWN),  # drift that no journal lists
        (None, BREAKING, BREAKING),
        (NO_IMPACT, None, COMPATIBLE),
        (ADDITIVE, None, COMPATIBLE),
        (ADDITIVE, COMPATIBLE, COMPATIBLE),
        (ADDITIVE, UNKNOWN, UNKNOWN),
        (ADDITIVE, BREAKING, BREAKING),
        (DROPS, None, BREAKING),
        (DROPS, COMPATIBLE, COMPATIBLE),  # it dropped a table that the target never knew
        (DROPS, UNKNOWN, UNKNOWN),
        (DROPS, BREAKING, BREAKING),
        (WIPES, None, BREAKING),
        (WIPES, COMPATIBLE, BREAKING),  # no structure shows it
        (REWRITES, None, UNKNOWN),
        (REWRITES, COMPATIBLE, UNKNOWN),
        (REWRITES, BREAKING, BREAKING),
        (TRIGGERS, None, UNKNOWN),
        (TRIGGERS, COMPATIBLE, COMPATIBLE),
    ],
)
def test_the_migrations_since_the_release_and_the_structure_decide_the_verdict(
    since: MigrationImpact | None, structure: Compatibility | None, verdict: Compatibility
) -> None:
    assert judge_second_migration(since, structure).compatibility is verdict


@pytest.mark.parametrize(
    ("object_name", "verdict"),
    [("table users", BREAKING), ("column users.name", BREAKING), ("table old", COMPATIBLE), ("view users", COMPATIBLE)],
)
def test_a_dropped_object_that_exists_was_created_again(object_name: str, verdict: Compatibility) -> None:
    """An operator or another tool created it: its rows differ, and the structure shows no difference."""
    drop = breaking(f"drop {object_name}", removes=(object_name,))
    verdict_found = judge_second_migration(drop, COMPATIBLE)
    assert verdict_found.compatibility is verdict
    assert (f"{object_name} was removed and created again" in verdict_found.reason) == (verdict is BREAKING)


def test_a_migration_that_no_release_recorded_is_unknown_for_every_structure() -> None:
    verdict = judge_second_migration(ADDITIVE, COMPATIBLE, recorded=False)
    assert verdict.compatibility is UNKNOWN
    assert "was recorded by no release" in verdict.reason
    assert verdict.since == (f"{2:064x}"[:12],)


def test_a_database_that_lacks_the_targets_migrations_is_incompatible() -> None:
    target = ReleaseSchema(journal=make_journal(FIRST, migration(2)), recorded_schema=RAN_ON)
    verdict = judge_schema(target, RAN_ON, make_journal(FIRST))
    assert (verdict.compatibility, verdict.journal) == (BREAKING, JournalRelation.BEHIND)
    assert "migrate it first" in verdict.reason


def test_a_migration_edited_after_its_application_is_another_migration() -> None:
    edited_migration = migration(1, hash="f" * 64)
    verdict = judge_schema(
        ReleaseSchema(shipped=(edited_migration,), recorded_schema=RAN_ON),
        RAN_ON,
        make_journal(FIRST),
        (FIRST, edited_migration),
    )
    assert (verdict.compatibility, verdict.journal) == (UNKNOWN, JournalRelation.DIVERGED)


def test_the_structure_alone_decides_without_a_journal() -> None:
    for structure, schema in STRUCTURES.items():
        target = ReleaseSchema(recorded_schema=RAN_ON, has_searched_all_journals=True)
        assert judge_schema(target, schema, None).compatibility is structure


def test_a_record_of_a_search_for_drizzles_journal_alone_proves_no_absence_of_a_journal() -> None:
    """Prisma's or Flyway's journal may exist, and its migrations since may not show in the structure."""
    verdict = judge_schema(ReleaseSchema(recorded_schema=RAN_ON), RAN_ON, None)
    assert (verdict.compatibility, verdict.journal) == (UNKNOWN, JournalRelation.ONE_SIDED)


def test_a_journal_of_only_the_release_or_the_database_proves_nothing() -> None:
    target_with_journal = ReleaseSchema(journal=make_journal(FIRST), recorded_schema=RAN_ON)
    for target, journal in ((target_with_journal, None), (ReleaseSchema(recorded_schema=RAN_ON), make_journal(FIRST))):
        verdict = judge_schema(target, RAN_ON, journal)
        assert (verdict.compatibility, verdict.journal) == (UNKNOWN, JournalRelation.ONE_SIDED)


def test_a_release_without_a_recorded_schema_is_unknown() -> None:
    assert judge_schema(None, RAN_ON, None).compatibility is UNKNOWN
    assert judge_schema(None, RAN_ON, make_journal(FIRST)).compatibility is UNKNOWN


def test_an_empty_journal_is_a_journal() -> None:
    assert judge_schema(ReleaseSchema(journal=()), RAN_ON, ()).journal is JournalRelation.EQUAL


def test_the_recorded_journal_takes_precedence_over_the_shipped_files() -> None:
    target = ReleaseSchema(journal=make_journal(FIRST), shipped=(FIRST, migration(2)))
    assert judge_schema(target, RAN_ON, make_journal(FIRST)).journal is JournalRelation.EQUAL


def plain_file(number: int, impact: MigrationImpact = NO_IMPACT) -> ShippedMigration:
    return migration(number, impact, tool="sql", id=f"{number}.sql")


JOURNAL = make_journal(FIRST)
WITH_JOURNAL = ReleaseSchema(journal=JOURNAL, recorded_schema=RAN_ON)
WITHOUT_JOURNAL = ReleaseSchema(recorded_schema=RAN_ON, has_searched_all_journals=True)


@pytest.mark.parametrize(
    ("target", "journal", "shipped", "verdict", "reason"),
    [
        (WITH_JOURNAL, JOURNAL, (), COMPATIBLE, "the same migrations are applied as when the target was good"),
        (
            ReleaseSchema(journal=make_journal(FIRST, migration(2)), recorded_schema=RAN_ON),
            JOURNAL,
            (),
            BREAKING,
            "the database lacks migrations that the target needs: migrate it first",
        ),
        (
            WITH_JOURNAL,
            make_journal(FIRST, migration(2)),
            (migration(2, ADDITIVE),),
            COMPATIBLE,
            "the migrations applied since the target only add to the schema",
        ),
        (
            WITH_JOURNAL,
            make_journal(FIRST, migration(2)),
            (migration(2, DROPS),),
            COMPATIBLE,
            "the migrations applied since the target changed nothing that it ran on",
        ),
        (
            WITH_JOURNAL,
            make_journal(FIRST, migration(2)),
            (migration(2, REWRITES),),
            UNKNOWN,
            "the migrations applied since the target are not known to be harmless; rows of users are rewritten",
        ),
        (
            ReleaseSchema(journal=make_journal(migration(2)), recorded_schema=RAN_ON),
            JOURNAL,
            (FIRST,),
            UNKNOWN,
            "the database has other migrations than the target, not only more",
        ),
        (
            WITH_JOURNAL,
            None,
            (),
            UNKNOWN,
            "the journal of the target or of the database is not known",
        ),
        (
            WITHOUT_JOURNAL,
            None,
            (),
            COMPATIBLE,
            "there is no journal; the live schema has all that the target ran on",
        ),
        (
            ReleaseSchema(has_searched_all_journals=True),
            None,
            (),
            UNKNOWN,
            "there is no journal, and the schema that the target ran on is not known",
        ),
        (
            WITHOUT_JOURNAL.model_copy(update={"shipped": (plain_file(1),)}),
            None,
            (plain_file(1),),
            COMPATIBLE,
            "the migrations applied since the target only add to the schema",
        ),
        (
            WITHOUT_JOURNAL,
            None,
            (plain_file(1, TRIGGERS),),
            COMPATIBLE,
            "the migrations applied since the target changed nothing that it ran on",
        ),
        (
            WITH_JOURNAL,
            JOURNAL,
            (plain_file(1, TRIGGERS),),
            COMPATIBLE,
            "the migrations applied since the target changed nothing that it ran on",
        ),
        (
            WITH_JOURNAL,
            JOURNAL,
            (plain_file(1, NO_IMPACT),),
            COMPATIBLE,
            "the migrations applied since the target only add to the schema",
        ),
    ],
)
def test_each_verdict_has_its_own_reason(
    target: ReleaseSchema,
    journal: tuple[Migration, ...] | None,
    shipped: tuple[ShippedMigration, ...],
    verdict: Compatibility,
    reason: str,
) -> None:
    schema_verdict = judge_schema(target, RAN_ON, journal, shipped)
    assert (schema_verdict.compatibility, schema_verdict.reason) == (verdict, reason)
    assert schema_verdict.attributed_to == ()


def test_drift_of_the_structure_makes_an_equal_journal_unknown() -> None:
    verdict = judge_schema(WITH_JOURNAL, STRUCTURES[UNKNOWN], JOURNAL)
    reason, difference = verdict.reason.split("; ")
    assert reason == "the structure does not show whether the target can work with the live schema"
    assert [finding.difference for finding in verdict.findings or ()] == [difference]


def test_an_unfinished_migration_makes_only_a_compatible_schema_unknown() -> None:
    unfinished_migration = JOURNAL[0].model_copy(update={"state": "failed"})
    target = ReleaseSchema(journal=(unfinished_migration,), recorded_schema=RAN_ON)
    unfinished = "migration 000000000000 of drizzle did not finish (drizzle.__drizzle_migrations)"
    schema_verdict = judge_schema(target, RAN_ON, (unfinished_migration,))
    assert schema_verdict.compatibility is UNKNOWN
    assert schema_verdict.reason == f"a journal does not list all applied migrations; {unfinished}"
    broken = judge_schema(target, STRUCTURES[BREAKING], (unfinished_migration,))
    assert broken.compatibility is BREAKING
    assert broken.reason.endswith(f"table public.users is gone, or has another name; {unfinished}")


def test_a_verdict_has_the_impact_and_the_findings_that_support_the_verdict() -> None:
    verdict = judge_second_migration(WIPES, BREAKING)
    assert verdict.impact == WIPES
    assert [finding.object_name for finding in verdict.findings or ()] == ["public.users"]
    assert judge_second_migration(None, None).impact is None
    assert judge_second_migration(None, None).findings is None


def test_a_database_that_lacks_migrations_is_attributed_to_no_migration() -> None:
    target = ReleaseSchema(journal=make_journal(FIRST, migration(2)), recorded_schema=RAN_ON)
    verdict = judge_schema(target, STRUCTURES[BREAKING], JOURNAL, (plain_file(3, DROPS),))
    assert (verdict.compatibility, verdict.attributed_to, verdict.unexplained) == (BREAKING, (), ())


@pytest.mark.parametrize("has_down", [True, False])
def test_the_verdict_says_whether_down_migrations_are_possible(has_down: bool) -> None:
    assert judge_second_migration(DROPS, None, has_down=has_down).can_step_down is has_down
    assert not judge_second_migration(None, None).can_step_down


_IMPACTS = st.sampled_from([NO_IMPACT, ADDITIVE, DROPS, WIPES, REWRITES, TRIGGERS])
_ORDER = [COMPATIBLE, UNKNOWN, BREAKING]


@given(st.lists(_IMPACTS, max_size=4), _IMPACTS, st.sampled_from([None, *Compatibility]))
def test_an_additional_migration_never_makes_a_verdict_more_compatible(
    impacts: list[MigrationImpact], further_impact: MigrationImpact, structure: Compatibility | None
) -> None:
    def verdict(since: list[MigrationImpact]) -> Compatibility:
        shipped = (FIRST, *(migration(number, impact) for number, impact in enumerate(since, start=2)))
        target = ReleaseSchema(journal=make_journal(FIRST), recorded_schema=None if structure is None else RAN_ON)
        live = STRUCTURES[structure or COMPATIBLE]
        return judge_schema(target, live, make_journal(*shipped), shipped).compatibility

    if verdict([*impacts, further_impact]) is COMPATIBLE:
        assert verdict(impacts) is COMPATIBLE


def test_a_verdicts_reason_has_all_its_evidence() -> None:
    verdict = judge_second_migration(WIPES, BREAKING)
    assert verdict.reason == (
        "the target can't work with the live schema; table public.users is gone, or has another name; truncate users"
    )
    assert verdict.since == ("0002_it",)


def test_recorded_schemas_of_this_and_an_older_version_are_readable() -> None:
    target_schema = ReleaseSchema(
        shipped=(migration(1, WIPES, has_down=True),), journal=make_journal(FIRST), recorded_schema=RAN_ON
    )
    read_schema = ReleaseSchema.model_validate_json(target_schema.model_dump_json())
    assert (read_schema, read_schema.sha256) == (target_schema, target_schema.sha256)
    assert target_schema.sha256 != ReleaseSchema().sha256
    assert ReleaseSchema.model_validate_json('{"of_a_newer_version": 1}') == ReleaseSchema()
    old_document = release("v1").model_dump(mode="json")
    del old_document["schema_sha256"]
    assert Release.model_validate(old_document) == release("v1")


@pytest.mark.parametrize("version", ["v1.2.3", "it's; rm -rf /", 'a "b"', "ü"])
def test_command_line_and_console_accept_the_offered_full_rollback(version: str) -> None:
    words = shlex.split(full_rollback_command("production", "express-api", version))
    start = typer.main.get_command(app).commands["start"]  # type: ignore[attr-defined]
    parameters = start.make_context("start", words[2:]).params
    assert words[:2] == ["rollback", "start"]
    assert (parameters["environment"], parameters["type"], parameters["service"]) == (
        "production",
        "full",
        "express-api",
    )
    assert parameters["target_version"] == version
    request = parse_request(json.loads(full_rollback_input("express-api", version)), ("express-api", "worker"))
    assert (request.type, request.service, request.target_version) == (RollbackType.FULL, "express-api", version)
    assert not request.force


def test_a_refusal_gives_the_reason_and_complete_commands() -> None:
    assert refusal_text(judge_second_migration(DROPS, None), "production", "express-api", "v1.2.3") == (
        "express-api can't go back to v1.2.3 without its database, since the schema is breaking: the migrations "
        "applied since the target break it; drop table old. Nothing was changed. To roll the database back too (rows "
        "written since are removed, and kept in a backup branch):\n"
        "  rollback start production --type full --service express-api --target-version v1.2.3\n"
        "or start the execution with the input\n"
        '  {"type": "full", "service": "express-api", "target_version": "v1.2.3"}'
    )


@pytest.mark.parametrize("structure", list(Compatibility))
def test_the_check_refuses_an_incompatible_schema_unless_the_request_is_forced(structure: Compatibility) -> None:
    check = schema_check(judge_second_migration(None, structure), "production", "express-api", "v1")
    plan = Plan(running=release("v2"), target=release("v1"), checks=(check,))
    assert (check.verdict is Verdict.PASS) == (structure is COMPATIBLE)
    assert bool(plan.refusals(forced=False)) == (structure is not COMPATIBLE)
    assert plan.refusals(forced=True) == ()
    assert json.loads(check.model_dump_json())["evidence"]["compatibility"] == structure


@pytest.mark.parametrize("requested_type", [RollbackType.SERVICE, RollbackType.EMERGENCY])
@pytest.mark.parametrize(
    ("compatibility", "tags", "unexplained_differences", "becomes_full"),
    [
        (BREAKING, ("0002",), (), True),
        (BREAKING, ("0002",), ("table public.events_2024 is gone",), False),
        (BREAKING, (), ("table public.events_2024 is gone",), False),
        (BREAKING, (), (), False),
        (UNKNOWN, ("0002",), (), False),
        (COMPATIBLE, ("0002",), (), False),
    ],
)
def test_a_service_rollback_becomes_full_only_for_an_explained_break_and_only_by_the_setting(
    requested_type: RollbackType,
    compatibility: Compatibility,
    tags: tuple[str, ...],
    unexplained_differences: tuple[str, ...],
    becomes_full: bool,
) -> None:
    request = Request(service="express-api", type=requested_type, target_version="v1")
    update = {"compatibility": compatibility, "attributed_to": tags, "unexplained": unexplained_differences}
    verdict = judge_second_migration(None, BREAKING).model_copy(update=update)
    full = request.model_copy(update={"type": RollbackType.FULL})
    assert escalate_to_full(request, verdict, "full") == (full if becomes_full else request)
    assert escalate_to_full(request, verdict, "refuse") == request


def test_a_documents_copy_of_a_verdict_is_bounded_and_counts_the_omitted_entries() -> None:
    findings = tuple(breaking_finding(f"table public.t{number} is gone {'x' * 5000}") for number in range(500))
    verdict = judge_second_migration(None, BREAKING).model_copy(
        update={"findings": findings, "unexplained": ("y" * 5000,) * 500}
    )
    copy = verdict.bounded
    assert len(copy.model_dump_json()) < 40_000
    assert copy.left_out == (500 - 20) * 2
    assert copy.compatibility is verdict.compatibility


@pytest.mark.parametrize(
    ("subject", "reason", "is_explained"),
    [
        ("public.users.email", "users: drop column email", True),
        ("public.users.email", "users.email: drop column", True),
        ("public.users.email", "users: drop column email_old", False),
        ("public.users.email", "accounts: drop column email", False),
        ("public.events_2024", "drop table events_2024", True),
        ("public.events_2024", "drop table events", False),
        ("", "drop table events", False),
    ],
)
def test_a_migration_explains_a_difference_in_a_named_object(subject: str, reason: str, is_explained: bool) -> None:
    shipped = ShippedMigration(tag="0002", created_at=2, hash="b" * 64, impact=breaking(reason))
    difference = breaking_finding("it is gone", subject)
    attribution = attribute_findings((difference,), (shipped,))
    assert attribution == (Attribution(tags=("0002",)) if is_explained else Attribution(unexplained=("it is gone",)))


def test_a_breaking_migration_is_named_where_the_structure_shows_no_difference() -> None:
    migration = ShippedMigration(tag="0002", created_at=2, hash="b" * 64, impact=WIPES)
    assert attribute_findings((), (migration,)) == Attribution(tags=("0002",))


@pytest.mark.parametrize(
    ("changes", "structure"),
    [({}, COMPATIBLE), ({"force": True}, BREAKING), ({"type": RollbackType.DATABASE}, BREAKING)],
)
def test_a_compatible_a_forced_and_a_database_rollback_keep_their_type(
    changes: dict[str, Any], structure: Compatibility
) -> None:
    request = Request.model_validate({"service": "express-api", **changes})
    assert escalate_to_full(request, judge_second_migration(None, structure), "full") == request
