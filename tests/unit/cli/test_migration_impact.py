"""The class of a migration, read from its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.database.migration_impact import Impact, MigrationImpact, combine_impacts
from rollback_cli.migrations.impact.classify_sql import classify

NONE, ADDITIVE, BREAKING, UNKNOWN = Impact.NONE, Impact.ADDITIVE, Impact.BREAKING, Impact.UNKNOWN


def guarded(statement: str) -> str:
    """Wrap a statement as older versions of drizzle-kit do."""
    return f"DO $$ BEGIN\n {statement};\nEXCEPTION\n WHEN duplicate_object THEN null;\nEND $$;"


CLASSES: tuple[tuple[str, Impact], ...] = (
    ("", NONE),
    ("-- nothing\n/* at /* all */ */;", NONE),
    ('CREATE INDEX "i" ON "users" USING btree ("name");', NONE),
    ("COMMENT ON TABLE users IS 'drop table users';", NONE),
    ("ALTER TABLE users VALIDATE CONSTRAINT c", NONE),
    ("SET lock_timeout = '5s'", NONE),
    ('CREATE TABLE "users" ("id" serial PRIMARY KEY NOT NULL, "name" text DEFAULT \';\')', ADDITIVE),
    ("CREATE TYPE \"public\".\"mood\" AS ENUM('happy', 'sad');", ADDITIVE),
    ("ALTER TYPE mood ADD VALUE 'calm' BEFORE 'sad'", ADDITIVE),
    ('ALTER TABLE "users" ADD COLUMN "nick" varchar(80);', ADDITIVE),
    ("ALTER TABLE users ADD COLUMN a int, ADD b numeric(4, 2) NOT NULL DEFAULT 0", ADDITIVE),
    ("ALTER TABLE users ADD COLUMN n bigserial NOT NULL", ADDITIVE),
    ("ALTER TABLE users ADD COLUMN \"unique\" text DEFAULT 'x'", ADDITIVE),
    ("ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid() UNIQUE", ADDITIVE),
    ("ALTER TABLE users ADD COLUMN nick text; UPDATE users SET nick = lower(name);", ADDITIVE),
    ("ALTER TABLE users ADD COLUMN team int; ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams(id)",
     ADDITIVE),
    ('CREATE TABLE "a" ("id" int); ALTER TABLE "a" ADD CONSTRAINT "u" UNIQUE("id"); CREATE UNIQUE INDEX x ON a (id);'
     "ALTER TABLE a ALTER COLUMN id SET NOT NULL; UPDATE a SET id = 1; DROP TABLE a", ADDITIVE),
    (guarded("CREATE TYPE \"mood\" AS ENUM('a')"), ADDITIVE),
    (guarded("ALTER TABLE users DROP COLUMN name"), BREAKING),
    ('ALTER TABLE "users" DROP COLUMN "name";', BREAKING),
    ("CREATE TABLE IF NOT EXISTS users (id int); ALTER TABLE users DROP COLUMN name", BREAKING),
    ("ALTER TABLE users ADD IF NOT EXISTS nick text; UPDATE users SET nick = 'x'", UNKNOWN),
    ("ALTER TABLE users ADD nick text; ALTER TABLE users ALTER nick SET NOT NULL", BREAKING),
    ("ALTER TABLE users ADD nick text UNIQUE; ALTER TABLE users ALTER nick SET DEFAULT 'x'", UNKNOWN),
    ("SET search_path = other; CREATE TABLE users (id int); DROP TABLE public.users", UNKNOWN),
    ("ALTER TABLE users RENAME COLUMN a TO b", BREAKING),
    ("ALTER TABLE users RENAME TO people", BREAKING),
    ("ALTER TABLE users ADD COLUMN must text NOT NULL", BREAKING),
    ("ALTER TABLE users ADD COLUMN \"default\" text NOT NULL", BREAKING),
    ("ALTER TABLE users ADD COLUMN tier int DEFAULT 1 UNIQUE", BREAKING),
    ("ALTER TABLE users ADD a int, DROP b", BREAKING),
    ('ALTER TABLE "users" ALTER COLUMN "age" SET DATA TYPE bigint;', BREAKING),
    ("ALTER TABLE users ALTER age TYPE bigint", BREAKING),
    ("ALTER TABLE users ALTER age SET NOT NULL", BREAKING),
    ("ALTER TABLE users ALTER age DROP NOT NULL", BREAKING),
    ("ALTER TABLE users ALTER age DROP DEFAULT", BREAKING),
    ("ALTER TABLE users ADD CONSTRAINT u UNIQUE (name)", BREAKING),
    ("ALTER TABLE users ADD CHECK (age > 0)", BREAKING),
    ("ALTER TABLE users ADD COLUMN a text; ALTER TABLE users ADD UNIQUE NULLS NOT DISTINCT (a)", BREAKING),
    ("CREATE UNIQUE INDEX CONCURRENTLY x ON users (lower(name))", BREAKING),
    ("ALTER TABLE users DROP CONSTRAINT u", BREAKING),
    ("DROP TABLE IF EXISTS users CASCADE", BREAKING),
    ("CREATE TABLE users_new (id int); DROP TABLE users_new, users", BREAKING),
    ("DROP VIEW v", BREAKING),
    ("DROP TYPE mood", BREAKING),
    ("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", BREAKING),
    ("TRUNCATE users", BREAKING),
    ("REVOKE SELECT ON users FROM app", BREAKING),
    ("UPDATE users SET name = 'x'", UNKNOWN),
    ("ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'", UNKNOWN),
    ('ALTER TABLE users ADD COLUMN "mail" "email_domain" UNIQUE', UNKNOWN),
    ("ALTER TABLE users ADD COLUMN nick text; UPDATE users SET nick = name, name = 'x'", UNKNOWN),
    ("DELETE FROM users", UNKNOWN),
    # the row may take the key that a sequence gives to the old release's next row
    ("INSERT INTO plans VALUES (1, 'free') ON CONFLICT DO NOTHING", UNKNOWN),
    ("INSERT INTO plans VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", UNKNOWN),
    ("WITH gone AS (DELETE FROM users RETURNING *) SELECT 1", UNKNOWN),
    ("SELECT wipe()", UNKNOWN),
    ("VALUES (wipe())", UNKNOWN),
    ("SELECT 1 FROM wipe()", UNKNOWN),
    ("SELECT 1, 'a'", NONE),
    ("DO $$ BEGIN DELETE FROM users; END $$", UNKNOWN),
    ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", UNKNOWN),
    ("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()", UNKNOWN),
    ("DROP INDEX users_name", UNKNOWN),
    ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", UNKNOWN),
    ("ALTER SYSTEM SET work_mem = 1", UNKNOWN),
    ("SET ROLE other", UNKNOWN),
    ("CREATE TABLE a (b text DEFAULT 'never closed)", UNKNOWN),
    ("no sql", UNKNOWN),
)  # fmt: skip


@pytest.mark.parametrize(("sql", "impact"), CLASSES, ids=[sql[:60] for sql, _ in CLASSES])
def test_a_migration_is_classified_by_its_text(sql: str, impact: Impact) -> None:
    migration_impact = classify(sql)
    assert migration_impact.impact is impact, migration_impact
    assert bool(migration_impact.reasons) == (impact in (BREAKING, UNKNOWN))


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ('ALTER TABLE "users" DROP COLUMN "email";', "users.email: drop column"),
        (
            'ALTER TABLE "users" RENAME COLUMN "email" TO "Mail"',
            'ALTER TABLE "users" RENAME COLUMN "email" TO "Mail"',
        ),
        ('TRUNCATE "the users"', "truncate the users"),
        ('DELETE FROM "users"', "rows of users are deleted"),
        ('ALTER TABLE "users" OWNER TO "us"', 'not known to be harmless: ALTER TABLE "users" OWNER TO "us"'),
        ("SELECT 'ü'; CALL \"wipe\"()", 'not known to be harmless: CALL "wipe"()'),
        ('ALTER TABLE "users" ALTER "age" SET DATA TYPE "years"', "users.age: another type"),
    ],
)
def test_a_reason_has_the_names_as_the_migration_writes_them(sql: str, reason: str) -> None:
    assert classify(sql).reasons == (reason,)


@pytest.mark.parametrize(
    "sql", ["UPDATE users SET a = 1", "TRUNCATE users", "REVOKE ALL ON users FROM app", "SELECT f()"]
)
def test_a_change_of_rows_or_privileges_is_not_visible_in_the_structure(sql: str) -> None:
    assert not classify(sql).is_visible_in_structure


@pytest.mark.parametrize("sql", ["DROP TABLE users", "ALTER TABLE users RENAME TO people", "DROP TRIGGER t ON users"])
def test_a_change_of_the_structure_is_visible_in_the_structure(sql: str) -> None:
    assert classify(sql).is_visible_in_structure


@pytest.mark.parametrize(
    "sql",
    [
        # found by comparing structures on Neon, each as a tool writes it
        "ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'pending';",
        'DROP VIEW "public"."v";--> statement-breakpoint\nCREATE VIEW "public"."v" AS (select 1);',
        "DROP TABLE orders; CREATE TABLE orders (id serial primary key, status text default 'x');",
        "ALTER TABLE orders DROP COLUMN status; ALTER TABLE orders ADD COLUMN status text DEFAULT 'x';",
        "ALTER TABLE orders ALTER COLUMN status SET DATA TYPE text USING lower(status);",
        "ALTER TABLE orders RENAME TO orders_old; CREATE TABLE orders (id serial primary key, status text);",
        "ALTER TABLE orders ALTER COLUMN id RESTART WITH 1;",
        "DROP SEQUENCE s; CREATE SEQUENCE s;",
        "-- note\rTRUNCATE orders;",
        "UPDATE orders SET status = 'X';",
        "TRUNCATE orders;",
        # other forms of the same
        "CREATE TABLE orders_new (id int); DROP TABLE orders; ALTER TABLE orders_new RENAME TO orders;",
        "ALTER TABLE orders RENAME COLUMN status TO was; ALTER TABLE orders ADD status text;",
        "DROP TABLE orders; CREATE TABLE orders AS SELECT * FROM other;",
        "DROP SCHEMA app CASCADE; CREATE SCHEMA app; CREATE TABLE app.orders (id int);",
        "DROP TYPE mood CASCADE; ALTER TABLE orders ADD COLUMN feeling text;",
        "DROP EXTENSION citext CASCADE; CREATE EXTENSION citext;",
        "ALTER TABLE orders ALTER status TYPE int; ALTER TABLE orders ALTER status TYPE text;",
        'ALTER TABLE orders ALTER status TYPE text COLLATE "C";',
        "ALTER TABLE orders ALTER id DROP IDENTITY; ALTER TABLE orders ALTER id ADD GENERATED ALWAYS AS IDENTITY;",
        "ALTER TABLE orders ALTER id SET GENERATED ALWAYS RESTART WITH 7;",
        "ALTER TABLE orders ALTER total SET EXPRESSION AS (price * 2);",
        "ALTER SEQUENCE orders_id_seq RESTART;",
        "SELECT setval('orders_id_seq', 1);",
        "INSERT INTO orders (id) VALUES (1);",
        "DELETE FROM orders;",
        "MERGE INTO orders USING other ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES;",
        "COPY orders FROM '/tmp/orders';",
        "ALTER TABLE orders ADD COLUMN a int DEFAULT wipe();",
        "CREATE TABLE a AS SELECT wipe();",
        "CREATE TABLE a (id int); INSERT INTO a SELECT wipe();",
        "CREATE TABLE a (id int); WITH gone AS (DELETE FROM orders RETURNING id) INSERT INTO a SELECT id FROM gone;",
        "CREATE TABLE a (id int); CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f(); INSERT INTO a VALUES (1);",
        "CREATE TABLE parts (id int) PARTITION BY LIST (id); ALTER TABLE parts ATTACH PARTITION orders DEFAULT;",
        "ALTER TABLE events DETACH PARTITION events_2026;",
        "CREATE TABLE more () INHERITS (orders); ALTER TABLE more INHERIT orders;",
        "ALTER TABLE orders DISABLE TRIGGER ALL;",
        "ALTER TABLE orders SET SCHEMA archive; CREATE TABLE orders (id int);",
        "CREATE INDEX ON orders ((status::int));",
        "REFRESH MATERIALIZED VIEW totals WITH NO DATA;",
        "ALTER VIEW v SET (security_invoker = true);",
        "SET standard_conforming_strings = off;",
        "BEGIN; DROP TABLE orders; ROLLBACK;",
        "DO $$ BEGIN EXECUTE 'TRUNCATE orders'; EXCEPTION WHEN duplicate_object THEN null; END $$;",
        "DO LANGUAGE plpython3u $$ begin create type a as enum (); exception when duplicate_object then null; end $$;",
        "SELECT 1;\0 DROP TABLE orders;",
        "\\i other.sql",
    ],
)
def test_a_change_that_the_structure_may_not_show_is_not_reported_as_visible(sql: str) -> None:
    migration_impact = classify(sql)
    assert migration_impact.impact in (BREAKING, UNKNOWN), migration_impact
    assert not migration_impact.is_visible_in_structure, migration_impact


@pytest.mark.parametrize(
    ("sql", "impact"),
    [
        ("-- note\rDROP TABLE orders;", BREAKING),  # Postgres ends a comment at a carriage return, too
        ("/* a /* b */ */ DROP TABLE orders", BREAKING),
        ("/* a /* b */ DROP TABLE orders */", NONE),
        ("COMMENT ON TABLE a IS $x$; DROP TABLE orders; $x$", NONE),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE orders; END $$", ADDITIVE),
        ("CREATE TABLE a (b int, c int GENERATED ALWAYS AS (b) VIRTUAL)", ADDITIVE),  # Postgres 18
        ("CREATE TABLE a (id int)--> statement-breakpoint\n;CREATE TABLE b (id int)", ADDITIVE),
        ("CREATE TABLE a (id int)--> statement-breakpoint\nDROP TABLE orders", UNKNOWN),  # no semicolon between
    ],
)
def test_a_text_is_read_as_postgres_reads_it(sql: str, impact: Impact) -> None:
    assert classify(sql).impact is impact, classify(sql)


def test_an_alembic_script_is_classified_without_its_journal_row() -> None:
    sql = "BEGIN; ALTER TABLE t ADD COLUMN a text; UPDATE alembic_version SET version_num='b'; COMMIT;"
    assert classify(sql).impact is ADDITIVE


def impact_of_files(*files: str) -> MigrationImpact:
    return combine_impacts(classify(file) for file in files)


def test_an_object_that_one_file_drops_and_the_next_creates_again_is_not_visible() -> None:
    assert not impact_of_files("DROP TABLE orders", "CREATE TABLE orders (id int)").is_visible_in_structure
    assert not impact_of_files("ALTER TABLE a DROP b CASCADE", "CREATE VIEW v AS SELECT 1").is_visible_in_structure


def test_an_object_that_one_file_creates_and_the_next_drops_is_visible() -> None:
    assert impact_of_files("CREATE TABLE orders (id int)", "DROP TABLE orders").is_visible_in_structure
    assert impact_of_files("ALTER TABLE a DROP b CASCADE", "ALTER TABLE a ADD c text").is_visible_in_structure


@given(
    st.lists(st.sampled_from([sql for sql, _ in CLASSES if "never closed" not in sql and sql != "no sql"]), max_size=4)
)
def test_a_migration_is_never_worse_than_its_statements_alone(parts: list[str]) -> None:
    """A statement on a table that an earlier statement creates is harmless."""
    alone = combine_impacts(classify(part) for part in parts)
    whole = classify("\n--> statement-breakpoint\n;".join(parts))
    order = list(Impact)
    assert order.index(whole.impact) <= order.index(alone.impact)


@given(st.text(max_size=200))
def test_any_text_is_classified(text: str) -> None:
    assert classify(text).impact in Impact


@given(st.text(min_size=1, max_size=60).filter(lambda name: name.isprintable()))
def test_a_quoted_name_is_never_a_keyword_and_is_read_unchanged(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    if len(name.encode()) < 64:  # Postgres cuts a longer one
        assert classify(f"DROP TABLE {quoted}").removes == (f"table {name}".replace("table public.", "table "),)


@pytest.mark.parametrize("sql", ["'", '"', "$$", "/*", "/* /* */", "E'\\'", "SELECT " + "(" * 500 + "1" + ")" * 500])
def test_a_text_that_can_not_be_parsed_is_unknown_with_a_reason(sql: str) -> None:
    migration_impact = classify(sql)
    assert (migration_impact.impact, migration_impact.is_visible_in_structure) in ((UNKNOWN, False), (NONE, True))
    assert (migration_impact.impact is UNKNOWN) == bool(migration_impact.reasons)
