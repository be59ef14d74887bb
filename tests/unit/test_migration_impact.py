"""The class of a migration, by its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.model.migration_impact import classify
from rollback.model.sql_statements import Unreadable, plain_name, statements
from rollback.model.statement_impact import Impact, together

NONE, ADDITIVE, BREAKING, UNKNOWN = Impact.NONE, Impact.ADDITIVE, Impact.BREAKING, Impact.UNKNOWN


def guarded(statement: str) -> str:
    """As older versions of drizzle-kit write it."""
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
    ("INSERT INTO plans VALUES (1, 'free') ON CONFLICT DO NOTHING", ADDITIVE),
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
    ("INSERT INTO plans VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", UNKNOWN),
    ("WITH gone AS (DELETE FROM users RETURNING *) SELECT 1", UNKNOWN),
    ("SELECT wipe()", UNKNOWN),
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
def test_a_migration_has_its_class(sql: str, impact: Impact) -> None:
    judged = classify(sql)
    assert judged.impact is impact, judged
    assert bool(judged.reasons) == (impact in (BREAKING, UNKNOWN))


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ('ALTER TABLE "users" DROP COLUMN "email";', "users: drop column email"),
        ('ALTER TABLE "users" RENAME COLUMN "email" TO "Mail"', "users: rename column email to Mail"),
        ('TRUNCATE "the users"', "truncate the users"),
        ('DELETE FROM "users"', "rows are changed: delete from users"),
        ('ALTER TABLE "users" OWNER TO "us"', "not known to be harmless: alter table users owner to us"),
        ('CALL "wipe"()', "not known to be harmless: call wipe ( )"),
        ('ALTER TABLE "users" ALTER "age" SET DATA TYPE "years"', "users.age: set data type years"),
    ],
)
def test_a_reason_has_the_names_as_people_know_them(sql: str, reason: str) -> None:
    assert classify(sql).reasons == (reason,)


@pytest.mark.parametrize(
    "sql", ["UPDATE users SET a = 1", "TRUNCATE users", "REVOKE ALL ON users FROM app", "SELECT f()"]
)
def test_what_changes_rows_or_rights_does_not_show_in_the_structure(sql: str) -> None:
    assert not classify(sql).shows_in_structure


@pytest.mark.parametrize("sql", ["DROP TABLE users", "ALTER TABLE users RENAME TO people", "DROP TRIGGER t ON users"])
def test_what_changes_the_structure_shows_there(sql: str) -> None:
    assert classify(sql).shows_in_structure


@given(st.lists(st.sampled_from([sql for sql, _ in CLASSES if "never closed" not in sql]), max_size=4))
def test_a_migration_is_never_better_than_what_it_makes_of_old_tables(parts: list[str]) -> None:
    """Order and company may excuse a statement (its table is new); they never excuse dropping rows."""
    alone = together(classify(part) for part in parts)
    whole = classify("\n--> statement-breakpoint\n;".join(parts))
    order = list(Impact)
    assert order.index(whole.impact) <= order.index(alone.impact)
    assert whole.shows_in_structure >= alone.shows_in_structure


@given(
    st.lists(st.sampled_from(["SELECT 'a;b'", "SELECT $x$;'$x$", 'SELECT "a;""b"', "SELECT 1 /* ; /* ' */ */ --;\n"]))
)
def test_statements_end_at_their_own_semicolons_only(parts: list[str]) -> None:
    assert len(statements(";".join(parts))) == len(parts)


@given(st.text(max_size=200))
def test_any_text_has_a_class(text: str) -> None:
    assert classify(text).impact in Impact


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
def test_a_quoted_name_is_never_a_keyword_and_can_be_read_back(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        (statement,) = statements(f"x {quoted}")
    except UnicodeEncodeError:
        return
    assert plain_name(statement.words.split(" ")[1]) == name


@pytest.mark.parametrize("sql", ["'", '"', "$$", "/*", "/* /* */", "E'\\'"])
def test_what_is_not_closed_can_not_be_read(sql: str) -> None:
    with pytest.raises(Unreadable):
        statements(sql)
