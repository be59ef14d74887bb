"""The comparison of structures, checked against an old release's statements on real Postgres."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from contract.neon_projects import LocalProject
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.adapters.postgres.catalog import read_schema
from rollback.adapters.postgres.sql import PostgresSql
from rollback.domain.database.migration_impact import Impact
from rollback.domain.database.schema_verdict import Compatibility, find_worst
from rollback.resources.database.live_schema import LiveSchema
from rollback.schema.structure_diff import compare_structures
from rollback_cli.migrations.impact.classify_sql import classify

BREAKING, UNKNOWN, COMPATIBLE = Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE

BEFORE = """
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE SEQUENCE ticket;
CREATE TYPE place AS (street text, city text);
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE TABLE teams (id int PRIMARY KEY, title varchar(10) NOT NULL);
CREATE TABLE users (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, name varchar(10), age smallint,
  feeling mood NOT NULL DEFAULT 'happy', balance numeric(6, 2), team int REFERENCES teams, ticket int,
  badge text UNIQUE, home place, seen timestamptz NOT NULL DEFAULT now(), CONSTRAINT adult CHECK (age > 0));
CREATE VIEW emails AS SELECT email FROM users;
INSERT INTO teams VALUES (1, 'one');
INSERT INTO users (email, name, team) VALUES ('old@x', 'old', 1);
"""
# Statements of the old release, each in a transaction of its own that is rolled back.
STATEMENTS = (
    "SELECT id, email, name, age, feeling, balance, team, ticket, seen FROM users WHERE id = 1 AND name = 'x'",
    "SELECT u.email, t.title FROM users u JOIN teams t ON t.id = u.team WHERE u.feeling = 'sad'::mood",
    "SELECT email FROM emails",
    "SELECT shout(name) FROM users",
    "INSERT INTO users (email) VALUES ('a@x'), ('b@x')",
    "INSERT INTO users (email, name, age, feeling, balance, team, ticket) VALUES"
    " ('c@x', '0123456789', 32767, 'sad', 9999.99, 1, nextval('ticket')), ('d@x', NULL, 1, 'happy', 0, NULL, 1)",
    "INSERT INTO users (email, name, age) VALUES ('e@x', 'same', 7), ('f@x', 'same', 7)",
    "INSERT INTO users (email) VALUES ('old@x') ON CONFLICT (email) DO UPDATE SET name = 'twice'",
    "INSERT INTO users (email, home) VALUES ('g@x', '(a,b)')",
    "INSERT INTO teams (id, title) VALUES (2, 'one'), (3, 'three')",
    "UPDATE users SET name = NULL, age = 1, balance = 1.5, seen = now()",
)


@dataclass(frozen=True)
class Change:
    """A migration, the verdict on it, and whether every old statement works after it."""

    sql: str
    verdict: Compatibility
    works: bool


CHANGES = (
    Change("SELECT 1", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN nick text", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN tier int NOT NULL DEFAULT 1", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN handle text UNIQUE", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN boss int REFERENCES teams", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN loud text GENERATED ALWAYS AS (upper(email)) STORED", COMPATIBLE, works=True),
    Change("CREATE TABLE notes (id int PRIMARY KEY, author int NOT NULL REFERENCES users)", COMPATIBLE, works=True),
    Change("CREATE INDEX ON users (name)", COMPATIBLE, works=True),
    Change("ALTER TABLE users ALTER name TYPE varchar(20)", COMPATIBLE, works=True),
    Change("ALTER TABLE users ALTER name TYPE text", COMPATIBLE, works=True),
    Change("ALTER TABLE users ALTER balance TYPE numeric(9, 2)", COMPATIBLE, works=True),
    Change("ALTER TABLE users RENAME CONSTRAINT adult TO grown", COMPATIBLE, works=True),
    Change("ALTER TABLE users DROP CONSTRAINT IF EXISTS adult", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD org int; CREATE UNIQUE INDEX ON users (name, org)", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN number bigserial UNIQUE", COMPATIBLE, works=True),
    Change("ALTER TYPE mood ADD VALUE 'calm' BEFORE 'sad'", COMPATIBLE, works=True),
    Change("ALTER TABLE users ALTER age TYPE int USING age::int", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN tier int NOT NULL DEFAULT 1 UNIQUE", BREAKING, works=False),
    Change("DELETE FROM users; ALTER TABLE users ADD COLUMN must text NOT NULL", BREAKING, works=False),
    Change("ALTER TABLE users DROP COLUMN balance", BREAKING, works=False),
    Change("ALTER TABLE users RENAME COLUMN name TO title", BREAKING, works=False),
    Change("ALTER TABLE users RENAME TO people", BREAKING, works=False),
    Change("DROP TABLE teams CASCADE", BREAKING, works=False),
    Change("DROP VIEW emails", BREAKING, works=False),
    Change("DROP SEQUENCE ticket", BREAKING, works=False),
    Change("DROP FUNCTION shout(text)", BREAKING, works=False),
    Change("UPDATE users SET name = 'x'; ALTER TABLE users ALTER name SET NOT NULL", BREAKING, works=False),
    Change("ALTER TABLE users ALTER seen DROP DEFAULT", BREAKING, works=False),
    Change("ALTER TABLE users ALTER name TYPE varchar(5)", BREAKING, works=False),
    Change("ALTER TABLE users DROP CONSTRAINT users_team_fkey, ALTER team TYPE text", BREAKING, works=False),
    Change("ALTER TABLE users ALTER balance TYPE numeric(3, 2)", BREAKING, works=False),
    Change("ALTER TABLE users ADD CONSTRAINT named UNIQUE (name)", BREAKING, works=False),
    Change("CREATE UNIQUE INDEX ON users (age)", BREAKING, works=False),
    Change("ALTER TABLE users DROP CONSTRAINT users_email_key", BREAKING, works=False),
    Change("ALTER TABLE users ADD CONSTRAINT short CHECK (length(name) < 5) NOT VALID", BREAKING, works=False),
    Change("ALTER TABLE users ADD FOREIGN KEY (age) REFERENCES teams NOT VALID", BREAKING, works=False),
    Change("ALTER TABLE users ADD org int, DROP CONSTRAINT users_email_key, ADD UNIQUE (email, org)",
           BREAKING, works=False),
    Change("ALTER TABLE users ADD org int; CREATE UNIQUE INDEX ON users (name, org) NULLS NOT DISTINCT",
           BREAKING, works=False),
    Change("ALTER TABLE users ADD EXCLUDE USING btree (age WITH =)", BREAKING, works=False),
    Change("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", BREAKING, works=False),
    Change("ALTER TABLE users DROP COLUMN ticket, ADD COLUMN ticket int GENERATED ALWAYS AS (1) STORED",
           BREAKING, works=False),
    Change("ALTER TABLE users ADD must text, ADD CONSTRAINT m CHECK (must IS NOT NULL) NOT VALID",
           UNKNOWN, works=False),
    Change("CREATE DOMAIN must AS text NOT NULL; ALTER TABLE users ALTER name TYPE must USING coalesce(name, '')",
           BREAKING, works=False),
    Change("CREATE DOMAIN given AS text DEFAULT 'x' NOT NULL; ALTER TABLE users ADD COLUMN sort given",
           COMPATIBLE, works=True),
    Change("CREATE DOMAIN ten AS text DEFAULT 'x' NOT NULL; ALTER TABLE users ADD COLUMN ten ten UNIQUE",
           BREAKING, works=False),
    Change("ALTER TABLE users ALTER badge SET DEFAULT 'none'", UNKNOWN, works=False),
    Change("ALTER TABLE users ALTER ticket SET DEFAULT 1", COMPATIBLE, works=True),
    Change("ALTER TABLE users ADD COLUMN IF NOT EXISTS name text NOT NULL", COMPATIBLE, works=True),
    Change("ALTER TYPE place ADD ATTRIBUTE country text", UNKNOWN, works=False),
    Change("ALTER TABLE users ALTER age TYPE bigint", UNKNOWN, works=True),
    Change("ALTER TABLE users ALTER email DROP NOT NULL", UNKNOWN, works=True),
    Change("ALTER TABLE users DROP CONSTRAINT adult, ADD CONSTRAINT adult CHECK (age >= 0)", UNKNOWN, works=True),
    Change("CREATE RULE quiet AS ON INSERT TO teams DO INSTEAD NOTHING", UNKNOWN, works=True),
    # The release's role is one of Neon's, which has BYPASSRLS; with a role that SQL made it would not work.
    Change("ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", UNKNOWN, works=True),
    Change("ALTER TABLE teams RENAME TO groups; CREATE VIEW teams AS SELECT * FROM groups", UNKNOWN, works=True),
    Change("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;"
           "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()", UNKNOWN, works=False),
)  # fmt: skip


class Database:
    """The default branch of a project, reset before each change."""

    def __init__(self, project: LocalProject) -> None:
        root = project.databases.branch_named("main")
        assert root is not None
        self.uri = project.uri(root.id)
        self._address = SecretStr(self.uri)

    def reset(self) -> None:
        self.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + BEFORE)

    def run(self, sql: str) -> None:
        with psycopg.connect(self._address.get_secret_value(), autocommit=True) as session:
            session.execute(sql.encode())

    def schema(self) -> LiveSchema:
        return PostgresSql().live_schema(self._address)

    def failing_statements(self) -> list[str]:
        """Errors of Postgres for the old statements that no longer work."""
        errors = []
        with psycopg.connect(self._address.get_secret_value()) as session:
            for statement in STATEMENTS:
                try:
                    session.execute(statement.encode())
                except psycopg.Error as error:
                    errors.append(f"{statement}: {error}")
                session.rollback()
        return errors


@pytest.fixture(scope="module")
def database(local_neon: LocalNeon) -> Iterator[Database]:
    project = LocalProject(local_neon, Limits())
    yield Database(project)
    project.close()


def test_the_old_releases_statements_work_before_any_change(database: Database) -> None:
    database.reset()
    assert database.failing_statements() == []


SILENT = (
    "ALTER TABLE users ALTER feeling SET DEFAULT 'sad'",
    "CREATE OR REPLACE VIEW emails AS SELECT email FROM users WHERE false",
    "ALTER TABLE users ALTER id SET INCREMENT BY 50",
    "ALTER TABLE users ADD number serial; ALTER SEQUENCE users_number_seq INCREMENT BY 50",
)


@pytest.mark.parametrize("sql", SILENT[:3])
def test_a_change_that_refuses_no_statement_and_returns_other_values_is_unknown(database: Database, sql: str) -> None:
    database.reset()
    recorded_schema = database.schema()
    database.run(sql)
    assert database.failing_statements() == []
    assert find_worst(compare_structures(recorded_schema, database.schema())) is UNKNOWN


def test_the_sequence_that_a_column_owns_is_compared(database: Database) -> None:
    database.reset()
    first, second = SILENT[3].split("; ")
    database.run(first)
    recorded_schema = database.schema()
    database.run(second)
    assert find_worst(compare_structures(recorded_schema, database.schema())) is UNKNOWN


def test_a_changed_query_of_a_materialized_view_is_unknown(database: Database) -> None:
    database.reset()
    database.run("CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM users")
    recorded_schema = database.schema()
    database.run("DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM teams")
    assert find_worst(compare_structures(recorded_schema, database.schema())) is UNKNOWN


@pytest.mark.parametrize("sql", [*SILENT[:3], "SELECT 1"])
def test_a_snapshot_of_an_older_version_does_not_differ_in_facts_that_it_lacks(database: Database, sql: str) -> None:
    database.reset()
    schema = database.schema()
    tables = {
        table: {name: column.model_copy(update={"default": None, "sequence": None}) for name, column in columns.items()}
        for table, columns in schema.tables.items()
    }
    old = schema.model_copy(update={"tables": tables, "view_bodies": None, "partitions": None})
    assert '"default"' not in old.model_dump_json()  # the digest of what is stored stays what it was
    database.run(sql)
    assert find_worst(compare_structures(old, database.schema())) is COMPATIBLE


EVENTS = """
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_09 PARTITION OF events FOR VALUES FROM ('2026-09-01') TO ('2026-10-01');
CREATE TABLE events_10 PARTITION OF events FOR VALUES FROM ('2026-10-01') TO ('2026-11-01') PARTITION BY LIST (what);
CREATE TABLE events_10_a PARTITION OF events_10 FOR VALUES IN ('a');
CREATE INDEX ON events (what);
"""
RETENTION = """
DROP TABLE events_09;
CREATE TABLE events_12 PARTITION OF events FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
"""


def test_a_partition_that_retention_dropped_is_no_difference(database: Database) -> None:
    database.reset()
    database.run(EVENTS)
    recorded_schema = database.schema()
    assert [name for name in recorded_schema.tables if "events" in name] == ["public.events"]
    assert recorded_schema.partitions is not None
    assert recorded_schema.partitions["public.events_10_a"] == "public.events_10"
    database.run(RETENTION)
    assert find_worst(compare_structures(recorded_schema, database.schema())) is COMPATIBLE


def test_a_dropped_column_of_a_partitioned_table_is_breaking(database: Database) -> None:
    database.reset()
    database.run(EVENTS)
    recorded_schema = database.schema()
    database.run(
        "ALTER TABLE events_10 DETACH PARTITION events_10_a; DROP TABLE events_10; DROP INDEX events_what_idx;"
    )
    database.run("ALTER TABLE events DROP COLUMN what")
    assert find_worst(compare_structures(recorded_schema, database.schema())) is BREAKING


def test_a_partition_in_an_older_snapshot_is_compatible_while_it_exists_and_unknown_once_dropped(
    database: Database,
) -> None:
    """A dropped partition is not breaking: no restore brings it back. Another table may have the same columns."""
    database.reset()
    database.run(EVENTS)
    schema = database.schema()
    events = schema.tables["public.events"]
    tables = {**schema.tables, **dict.fromkeys(schema.partitions or (), events)}
    old = schema.model_copy(update={"tables": tables, "partitions": None})
    assert find_worst(compare_structures(old, database.schema())) is COMPATIBLE
    database.run(RETENTION)
    assert find_worst(compare_structures(old, database.schema())) is UNKNOWN


def test_a_table_that_became_a_partition_is_unknown(database: Database) -> None:
    database.reset()
    database.run("CREATE TABLE jobs (at date NOT NULL)")
    recorded_schema = database.schema()
    database.run("CREATE TABLE all_jobs (at date NOT NULL) PARTITION BY RANGE (at)")
    database.run("ALTER TABLE all_jobs ATTACH PARTITION jobs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    assert find_worst(compare_structures(recorded_schema, database.schema())) is UNKNOWN


def test_a_change_in_a_schema_of_neon_is_no_difference(database: Database) -> None:
    """Neon Auth creates `neon_auth`, and changes it without the application (neon.com/docs, "How Neon Auth works")."""
    database.reset()
    database.run(
        "DROP SCHEMA IF EXISTS neon_auth CASCADE; CREATE SCHEMA neon_auth;"
        "CREATE TABLE neon_auth.users_sync (id text PRIMARY KEY, x text); CREATE TYPE neon_auth.kind AS ENUM ('a')"
    )
    recorded_schema = database.schema()
    database.run("ALTER TABLE neon_auth.users_sync DROP COLUMN x; DROP TYPE neon_auth.kind")
    live = database.schema()
    assert not [name for name in (*live.tables, *live.enums) if name.startswith("neon_auth")]
    old = recorded_schema.model_copy(
        update={"tables": {**recorded_schema.tables, "neon_auth.users_sync": recorded_schema.tables["public.teams"]}}
    )
    assert find_worst(compare_structures(old, live)) is COMPATIBLE
    database.run("DROP SCHEMA neon_auth CASCADE")


def test_a_recreated_structure_has_the_same_snapshot(database: Database) -> None:
    database.reset()
    first = database.schema()
    database.reset()
    assert database.schema() == first
    assert LiveSchema.model_validate_json(first.model_dump_json()) == first


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.sql[:70])
def test_the_verdict_holds_for_the_old_releases_statements(database: Database, change: Change) -> None:
    database.reset()
    recorded_schema = database.schema()
    database.run(change.sql)
    differences = compare_structures(recorded_schema, database.schema())
    errors = database.failing_statements()
    assert find_worst(differences) is change.verdict, (differences, errors)
    assert (not errors) == change.works, errors
    if find_worst(differences) is COMPATIBLE:
        assert errors == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.sql[:70])
def test_a_migration_that_is_classified_as_harmless_is_harmless(database: Database, change: Change) -> None:
    database.reset()
    database.run(change.sql)
    if classify(change.sql).impact in (Impact.NONE, Impact.ADDITIVE):
        assert database.failing_statements() == []
        assert change.verdict is COMPATIBLE


def test_changes_that_are_harmless_alone_are_harmless_together(database: Database) -> None:
    database.reset()
    recorded_schema = database.schema()
    for change in CHANGES:
        if change.verdict is COMPATIBLE:
            database.run(change.sql)
    assert find_worst(compare_structures(recorded_schema, database.schema())) is COMPATIBLE
    assert database.failing_statements() == []


# Statements of migrations on the schema above. A view that is replaced is left out: its body belongs to the snapshot.
FRAGMENTS = (
    "ALTER TABLE users ADD COLUMN nick text",
    "ALTER TABLE users ADD COLUMN tier int NOT NULL DEFAULT 1",
    "ALTER TABLE users ADD COLUMN nick text UNIQUE DEFAULT 'x'",
    "ALTER TABLE users ALTER nick SET DEFAULT 'y'",
    "UPDATE users SET nick = lower(email)",
    "UPDATE users SET name = 'other'",
    "ALTER TABLE users DROP COLUMN balance",
    "ALTER TABLE users ADD COLUMN balance numeric(6, 2)",
    "ALTER TABLE users RENAME COLUMN balance TO was",
    "ALTER TABLE users RENAME COLUMN was TO balance",
    "ALTER TABLE users ALTER age SET DEFAULT 7",
    "ALTER TABLE users ALTER age DROP DEFAULT",
    "ALTER TABLE users ALTER name TYPE text",
    "ALTER TABLE users ALTER name TYPE varchar(10) USING 'rewritten'",
    "ALTER TABLE users ALTER id RESTART WITH 1",
    "ALTER TABLE users ALTER id DROP IDENTITY",
    "ALTER TABLE users ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "DROP SEQUENCE ticket",
    "CREATE SEQUENCE ticket",
    "DROP VIEW emails",
    "CREATE VIEW emails AS SELECT email FROM users WHERE false",
    "DROP TABLE teams CASCADE",
    "CREATE TABLE teams (id int PRIMARY KEY, title varchar(10) NOT NULL)",
    "ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams NOT VALID",
    "ALTER TABLE teams RENAME TO groups",
    "CREATE TABLE groups (id int PRIMARY KEY, title varchar(10) NOT NULL)",
    "INSERT INTO teams VALUES (2, 'two')",
    "INSERT INTO groups VALUES (2, 'two')",
    "DELETE FROM users",
    "TRUNCATE users",
    "ALTER TABLE groups RENAME TO teams",
    "ALTER TABLE users DROP CONSTRAINT IF EXISTS adult",
    "CREATE UNIQUE INDEX ON users (name)",
    "SELECT setval('users_id_seq', 1, false)",
    "DO $$ BEGIN UPDATE users SET age = 1; END $$",
    "-- note\rDELETE FROM teams",
    "CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM users; RETURN 1; END'",
    "CREATE TABLE more AS SELECT wipe() AS n",
)
# Reads of the old release: its rows, the view, and the defaults of a row that names only its e-mail.
READS = (
    "SELECT id, email, name, age, feeling, balance, team, ticket, badge FROM users ORDER BY id",
    "SELECT id, title FROM teams ORDER BY id",
    "SELECT email FROM emails ORDER BY email",
    "INSERT INTO users (email) VALUES ('new@x') RETURNING id, name, age, feeling, balance, team, ticket, badge",
    "SELECT nextval('ticket')",
)


def read_answers(session: "psycopg.Connection[tuple[object, ...]]") -> list[object]:
    """Return the answers to the old release's reads; a failed read is the name of its error."""
    answers: list[object] = []
    for read in READS:
        try:
            with session.transaction(force_rollback=True):
                answers.append(session.execute(read.encode()).fetchall())
        except psycopg.Error as error:
            answers.append(type(error).__name__)
    return answers


@pytest.fixture
def old(database: Database) -> Database:
    database.reset()
    return database


def judged_and_harmed(old: Database, sql: str) -> tuple[bool, bool] | None:
    """Whether text and structure together let a rollback through, and whether the old release gets other answers.

    None: Postgres refuses the migration, so that it is never applied. Sequences do not roll back: they are set before.
    """
    with psycopg.connect(old.uri) as session, session.transaction(force_rollback=True):
        session.execute("SELECT setval('ticket', 100), setval('users_id_seq', 100)")
        recorded_schema, original_answers = read_schema(session), read_answers(session)
        session.execute("SELECT setval('ticket', 100), setval('users_id_seq', 100)")
        try:
            with session.transaction():
                session.execute(sql.encode())
        except psycopg.Error:
            return None
        impact, structure = classify(sql), find_worst(compare_structures(recorded_schema, read_schema(session)))
        harmless = impact.impact in (Impact.NONE, Impact.ADDITIVE) or impact.is_visible_in_structure
        return harmless and structure is COMPATIBLE, read_answers(session) != original_answers


MADE_AGAIN = (
    ("DROP VIEW emails", "CREATE VIEW emails AS SELECT email FROM users WHERE false"),
    ("ALTER TABLE users DROP COLUMN name", "ALTER TABLE users ADD COLUMN name varchar(10)"),
    ("ALTER TABLE users ALTER name TYPE varchar(5) USING 'x'", "ALTER TABLE users ALTER name TYPE varchar(10)"),
    ("ALTER TABLE users RENAME COLUMN name TO was", "ALTER TABLE users ADD name varchar(10)"),
    ("ALTER TABLE users ALTER id DROP IDENTITY", "ALTER TABLE users ALTER id ADD GENERATED ALWAYS AS IDENTITY"),
    ("DROP SEQUENCE ticket", "CREATE SEQUENCE ticket"),
    ("CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM users; RETURN 1; END'",
     "CREATE TABLE more AS SELECT wipe() AS n"),
    ("DROP TABLE teams CASCADE", "CREATE TABLE teams (id int PRIMARY KEY, title varchar(10) NOT NULL)",
     "ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams NOT VALID"),
)  # fmt: skip


@pytest.mark.parametrize("parts", MADE_AGAIN, ids=lambda parts: parts[0])
def test_a_recreated_object_harms_the_old_release_and_is_blocked(old: Database, parts: tuple[str, ...]) -> None:
    assert judged_and_harmed(old, ";\n".join(parts)) == (False, True)


@pytest.mark.parametrize("sql", FRAGMENTS)
def test_a_statement_that_passes_keeps_the_old_releases_answers(old: Database, sql: str) -> None:
    assert judged_and_harmed(old, sql) != (True, True)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=2, max_size=4, unique=True))
def test_a_migration_that_passes_keeps_the_old_releases_answers(old: Database, parts: list[str]) -> None:
    assert judged_and_harmed(old, ";\n".join(parts)) != (True, True)
