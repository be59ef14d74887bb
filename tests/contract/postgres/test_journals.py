"""Journals and files as migration tools write them (tests/fixtures/migrations), read from real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from contract.neon_projects import LocalProject
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.adapters.postgres.sql import PostgresSql
from rollback.domain.database.migration_impact import NO_IMPACT, Impact
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, JournalRelation, SchemaVerdict
from rollback.errors import InvalidRequest
from rollback.resources.database.errors import QueryFailed
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration, MigrationTool
from rollback.schema.compatibility import judge_schema
from rollback.schema.journals import is_applied, list_unfinished, summarize_journals
from rollback_cli.migrations.read_migrations import read_migrations

FIXTURES = Path(__file__).parents[2] / "fixtures" / "migrations"
ADDITIVE, BREAKING, UNKNOWN = Impact.ADDITIVE, Impact.BREAKING, Impact.UNKNOWN
# Folder → the tool, its table, and the classes of its three files, with the SQL that the tool wrote for its code.
TOOLS = {
    "drizzle-0": (MigrationTool.DRIZZLE, "drizzle.__drizzle_migrations", (ADDITIVE, ADDITIVE, BREAKING)),
    "drizzle-1": (MigrationTool.DRIZZLE, "app_meta.our_migrations", (ADDITIVE, ADDITIVE, BREAKING)),
    "prisma": (MigrationTool.PRISMA, "public._prisma_migrations", (ADDITIVE, ADDITIVE, BREAKING)),
    "flyway": (MigrationTool.FLYWAY, "public.flyway_schema_history", (ADDITIVE, ADDITIVE, BREAKING, UNKNOWN)),
    "alembic": (MigrationTool.ALEMBIC, "public.alembic_version", (ADDITIVE, ADDITIVE, BREAKING)),
    "django": (MigrationTool.DJANGO, "public.django_migrations", (ADDITIVE, BREAKING, BREAKING)),
    "knex": (MigrationTool.KNEX, "public.knex_migrations", (UNKNOWN, UNKNOWN, UNKNOWN)),
    "rails": (MigrationTool.RAILS, "public.schema_migrations", (UNKNOWN, UNKNOWN, UNKNOWN)),
}
EMPTY = LiveSchema(tables={})


def files(folder: str) -> tuple[ShippedMigration, ...]:
    sql = FIXTURES / folder / "sql"
    offered = sql if sql.is_dir() else None
    return read_migrations(FIXTURES / folder / "files", sql=offered, second_opinion=lambda _: NO_IMPACT)


class Database:
    """The default branch of a project."""

    def __init__(self, project: LocalProject) -> None:
        root = project.databases.branch_named("main")
        assert root is not None
        self.address = SecretStr(project.uri(root.id))

        self._project = project

    def administer(self, sql: str) -> None:
        """Run SQL as Neon's own superuser."""
        with self._project._project.root.storage().cluster.connect() as session:
            session.execute(sql.encode())

    def run(self, sql: str) -> None:
        with psycopg.connect(self.address.get_secret_value(), autocommit=True) as session:
            session.execute(sql.encode())

    def load(self, folder: str) -> tuple[Migration, ...]:
        self.run((FIXTURES / folder / "journal.sql").read_text())
        rows = PostgresSql(TOOLS[folder][1]).migrations(self.address)
        assert rows is not None
        return rows


@pytest.fixture(scope="module")
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local_project = LocalProject(local_neon, Limits())
    yield local_project
    local_project.close()


@pytest.fixture
def database(project: LocalProject) -> Database:
    new_database = Database(project)
    new_database.run(
        "DROP SCHEMA IF EXISTS drizzle, app_meta CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    )
    return new_database


@pytest.mark.parametrize("folder", TOOLS)
def test_a_migration_tool_is_recognised_by_its_files_and_each_file_has_an_impact(folder: str) -> None:
    tool, _, impacts = TOOLS[folder]
    migrations = files(folder)
    assert {migration.tool for migration in migrations} == {tool}
    assert tuple(migration.impact.impact for migration in migrations) == impacts, [
        migration.impact for migration in migrations
    ]


@pytest.mark.parametrize("folder", TOOLS)
def test_the_first_two_files_are_found_in_the_journal_that_the_tool_wrote(database: Database, folder: str) -> None:
    tool, table, _ = TOOLS[folder]
    journal, shipped = database.load(folder), files(folder)
    assert {(row.tool, row.table) for row in journal} == {(tool, table)}
    # Flyway applies its repeatable migration after the two others.
    repeatable = [migration.tag for migration in shipped if "R__" in migration.tag]
    assert [migration.tag for migration in shipped if is_applied(migration, journal, shipped)] == [
        *(migration.tag for migration in shipped[:2]),
        *repeatable,
    ]
    assert summarize_journals(journal)[0].startswith(f"{tool}, {table}: {len(journal)} rows, ")


def verdict_after(folder: str, journal: tuple[Migration, ...], shipped: tuple[ShippedMigration, ...]) -> SchemaVerdict:
    """Judge a release that ran when the journal had its first row only."""
    first = journal[:1]
    if folder == "alembic":
        first = (journal[0].model_copy(update={"id": "1a2b3c4d5e6f"}),)
    return judge_schema(ReleaseSchema(journal=first, recorded_schema=EMPTY), EMPTY, journal, shipped)


@pytest.mark.parametrize("folder", [name for name in TOOLS if name not in ("prisma", "flyway")])
def test_a_migration_applied_since_the_target_is_attributed_to_its_file(database: Database, folder: str) -> None:
    journal, shipped = database.load(folder), files(folder)
    verdict = verdict_after(folder, journal, shipped)
    assert (verdict.journal, verdict.since) == (JournalRelation.AHEAD, (shipped[1].tag,))
    assert verdict.impact is not None
    assert verdict.impact.impact is TOOLS[folder][2][1]
    expected = Compatibility.UNKNOWN if verdict.impact.impact is UNKNOWN else Compatibility.COMPATIBLE
    assert verdict.compatibility is expected


@pytest.mark.parametrize("folder", TOOLS)
def test_a_migration_that_no_release_shipped_is_unknown(database: Database, folder: str) -> None:
    """Another tool's journal was "no journal: compatible", and the structure can't show an UPDATE."""
    verdict = verdict_after(folder, database.load(folder), ())
    assert verdict.compatibility is Compatibility.UNKNOWN


@pytest.mark.parametrize("folder", [name for name in TOOLS if not name.startswith("drizzle")])
def test_a_target_without_a_recorded_journal_is_unknown_in_a_database_with_a_journal(
    database: Database, folder: str
) -> None:
    journal = database.load(folder)
    verdict = judge_schema(ReleaseSchema(journal=None, recorded_schema=EMPTY), EMPTY, journal, files(folder))
    assert (verdict.compatibility, verdict.journal) == (Compatibility.UNKNOWN, JournalRelation.ONE_SIDED)


def test_a_migration_that_prisma_did_not_finish_makes_every_verdict_unknown(database: Database) -> None:
    """Prisma leaves no `finished_at` in the row, and refuses to continue until an operator resolves the migration."""
    journal = database.load("prisma")
    (unfinished,) = list_unfinished(journal)
    assert unfinished == "migration 20260103000000_fails of prisma did not finish (public._prisma_migrations)"
    verdict = judge_schema(ReleaseSchema(journal=journal, recorded_schema=EMPTY), EMPTY, journal)
    assert verdict.compatibility is Compatibility.UNKNOWN
    assert unfinished in verdict.reason


def test_a_failed_migration_of_flyway_is_unfinished(database: Database) -> None:
    database.load("flyway")
    database.run("UPDATE flyway_schema_history SET success = false WHERE installed_rank = 2")
    journal = PostgresSql().migrations(database.address)
    (unfinished,) = list_unfinished(journal)
    assert unfinished == "migration V1_1__users.sql of flyway did not finish (public.flyway_schema_history)"


def test_a_migration_that_flyway_undid_and_repeated_is_another_state(database: Database) -> None:
    recorded = database.load("flyway")
    database.run(
        "INSERT INTO flyway_schema_history SELECT 5, version, description, 'UNDO_SQL', 'U1_1__users.sql', NULL,"
        " installed_by, installed_on, 1, true FROM flyway_schema_history WHERE installed_rank = 2;"
        "INSERT INTO flyway_schema_history SELECT 6, version, description, type, script, checksum, installed_by,"
        " installed_on, 1, true FROM flyway_schema_history WHERE installed_rank = 2"
    )
    after = PostgresSql().migrations(database.address)
    verdict = judge_schema(ReleaseSchema(journal=recorded, recorded_schema=EMPTY), EMPTY, after, files("flyway"))
    assert (verdict.journal, verdict.compatibility) == (JournalRelation.AHEAD, Compatibility.UNKNOWN)


@pytest.mark.parametrize("folder", ["prisma", "flyway"])
def test_a_file_that_was_changed_after_it_was_applied_is_unknown(database: Database, folder: str) -> None:
    journal = tuple(row for row in database.load(folder) if row.state == "applied")[:2]
    first, second, *_ = files(folder)
    changed = second.model_copy(update={"checksum": "0"})
    verdict = verdict_after(folder, journal, (first, changed))
    assert verdict.compatibility is Compatibility.UNKNOWN
    assert "differs from the one that was applied" in verdict.reason
    assert not is_applied(changed, journal, (first, changed))


def test_a_journal_ignores_the_times_of_its_rows(database: Database) -> None:
    recorded = database.load("prisma")
    database.run("UPDATE _prisma_migrations SET started_at = started_at + interval '1 day', logs = NULL")
    assert PostgresSql().migrations(database.address) == recorded


def test_all_journals_of_a_database_are_read(database: Database) -> None:
    for folder in ("alembic", "django", "knex"):
        database.load(folder)
    rows = PostgresSql().migrations(database.address)
    assert {row.tool for row in rows or ()} == {"alembic", "django", "knex"}


def test_a_missing_journal_of_the_settings_is_reported(database: Database) -> None:
    rows = PostgresSql("app_meta.our_migrations").migrations(database.address)
    assert list_unfinished(rows) == ("the journal app_meta.our_migrations of the settings is not in the database",)
    verdict = judge_schema(ReleaseSchema(journal=rows, recorded_schema=EMPTY), EMPTY, rows)
    assert verdict.compatibility is Compatibility.UNKNOWN


def test_a_custom_journal_is_read_only_if_the_settings_name_it(database: Database) -> None:
    database.load("drizzle-1")
    assert PostgresSql().migrations(database.address) is None


def test_a_journal_of_unknown_layout_has_a_digest_for_each_row(database: Database) -> None:
    database.run("CREATE TABLE our_log (step text, note text); INSERT INTO our_log VALUES ('a', 'x'), ('b', 'y')")
    sql = PostgresSql("our_log")
    recorded = sql.migrations(database.address)
    assert [(row.tool, row.table) for row in recorded or ()] == [("unknown", "public.our_log")] * 2
    database.run("UPDATE our_log SET note = 'z' WHERE step = 'b'")
    after = sql.migrations(database.address)
    verdict = judge_schema(ReleaseSchema(journal=recorded, recorded_schema=EMPTY), EMPTY, after)
    assert verdict.compatibility is Compatibility.UNKNOWN


def test_a_journal_in_neons_own_schema_is_ignored(database: Database) -> None:
    database.run("CREATE SCHEMA neon_auth; CREATE TABLE neon_auth.schema_migrations (version text)")
    assert PostgresSql().migrations(database.address) is None
    database.run("DROP SCHEMA neon_auth CASCADE")


def test_an_unreadable_journal_is_a_failure_and_not_an_absent_journal(database: Database) -> None:
    database.load("knex")
    database.administer("CREATE ROLE reader LOGIN PASSWORD 'x'")
    host = database.address.get_secret_value().split("@")[1]
    with pytest.raises(QueryFailed, match="knex_migrations"):
        PostgresSql().migrations(SecretStr(f"postgresql://reader:x@{host}"))


# Folders


def test_a_migration_in_code_without_its_sql_is_unknown(tmp_path: Path) -> None:
    migrations = read_migrations(FIXTURES / "django" / "files", second_opinion=lambda _: NO_IMPACT)
    assert {migration.impact.impact for migration in migrations} == {UNKNOWN}
    assert "--sql" in migrations[0].impact.reasons[0]


def test_a_java_migration_of_flyway_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "V3__it.java").write_text("class V3__it {}")
    (migration,) = read_migrations(tmp_path, second_opinion=lambda _: NO_IMPACT)
    assert (migration.tool, migration.impact.impact) == (MigrationTool.FLYWAY, UNKNOWN)


def test_the_undo_file_of_flyway_is_the_down_migration() -> None:
    downs = [migration.down_impact.impact for migration in files("flyway") if migration.down_impact is not None]
    assert downs == [ADDITIVE]


def plain(folder: Path, **texts: str) -> tuple[ShippedMigration, ...]:
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.sql").write_text(text)
    return read_migrations(folder, second_opinion=lambda _: NO_IMPACT)


def test_a_plain_folder_without_a_journal_counts_all_migrations_shipped_since(tmp_path: Path) -> None:
    first = plain(tmp_path / "a", one="CREATE TABLE a (id int)")
    adds = plain(tmp_path / "b", one="CREATE TABLE a (id int)", two="ALTER TABLE a ADD b text")
    writes = plain(tmp_path / "c", one="CREATE TABLE a (id int)", two="UPDATE a SET id = 1")
    target = ReleaseSchema(shipped=first, recorded_schema=EMPTY, has_searched_all_journals=True)
    assert judge_schema(target, EMPTY, None, adds).compatibility is Compatibility.COMPATIBLE
    assert judge_schema(target, EMPTY, None, writes).compatibility is Compatibility.UNKNOWN
    assert (
        judge_schema(
            ReleaseSchema(recorded_schema=EMPTY, has_searched_all_journals=True), EMPTY, None, writes
        ).compatibility
        is Compatibility.UNKNOWN
    )


def test_a_folder_of_two_tools_is_refused_unless_the_tool_is_named(tmp_path: Path) -> None:
    (tmp_path / "V1__a.sql").write_text("SELECT 1")
    (tmp_path / "20260101000000_a.js").write_text("")
    with pytest.raises(InvalidRequest, match="--tool flyway"):
        read_migrations(tmp_path)
    assert len(read_migrations(tmp_path, MigrationTool.FLYWAY, second_opinion=lambda _: NO_IMPACT)) == 1


def test_a_folder_without_the_tools_migrations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="has no migrations of knex"):
        read_migrations(tmp_path, MigrationTool.KNEX)
    with pytest.raises(InvalidRequest, match="leave --sql out"):
        read_migrations(FIXTURES / "prisma" / "files", sql=tmp_path)


def test_a_schema_stored_by_an_older_version_keeps_its_digest() -> None:
    """The ledger's key of a schema is its digest, and a schema under another digest is not read."""
    old = (
        '{"shipped":[{"tag":"0000_it","created_at":1,"hash":"' + "a" * 64 + '","impact":{"impact":"breaking",'
        '"reasons":["why"]},"has_down":true,"down_impact":{"impact":"additive"}}],'
        '"journal":[{"hash":"' + "a" * 64 + '","created_at":1}]}'
    )
    stored = ReleaseSchema.model_validate_json(old)
    assert stored.sha256 == "461e30405470cd9faf60d5a0bcc764f38ed046b3b77faf93900728dede3fa492"
