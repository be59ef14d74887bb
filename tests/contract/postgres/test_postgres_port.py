"""The port to Postgres on real Postgres."""

from collections.abc import Iterator

import psycopg
import pytest
from contract.local_cloud.workload import eventually
from contract.neon_projects import LocalProject
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.adapters.postgres.session import open_session
from rollback.adapters.postgres.sql import PostgresSql
from rollback.errors import RefusalKind
from rollback.ports.postgres import Sql
from rollback.resources.database.errors import QueryFailed, SessionRefused, Unreachable
from rollback.resources.database.live_schema import Column

SQL: Sql = PostgresSql()


class Database:
    """The default branch of a project."""

    def __init__(self, project: LocalProject) -> None:
        root = project.databases.branch_named("main")
        assert root is not None
        self.project, self.id = project, root.id
        self.address = SecretStr(project.uri(root.id))

    def run(self, statement: str) -> None:
        self.project.run(self.id, statement)


@pytest.fixture(scope="module")
def shared(local_neon: LocalNeon) -> Iterator[Database]:
    project = LocalProject(local_neon, Limits())
    yield Database(project)
    project.close()


def has_no_clients(address: SecretStr) -> bool:
    """Wait until no client session is listed. A closed session is listed until its process has ended."""
    return bool(eventually(lambda: SQL.client_sessions(address) == ()))


def test_sessions_of_clients_are_listed_without_the_rollbacks_own_session(shared: Database) -> None:
    assert has_no_clients(shared.address)
    with psycopg.connect(shared.address.get_secret_value(), application_name="express-api") as session:
        session.execute("SELECT 1")
        (client,) = SQL.client_sessions(shared.address)
        assert client.pid == session.info.backend_pid
    assert (client.role, client.application, client.state) == ("app_owner", "express-api", "idle in transaction")


def test_a_session_of_another_role_is_listed_without_its_state(shared: Database) -> None:
    with shared.project._project.root.storage().cluster.connect() as admin:
        admin.execute("CREATE ROLE reporting LOGIN PASSWORD 'x'; CREATE ROLE by_sql LOGIN PASSWORD 'x'")
    assert has_no_clients(shared.address)
    by_sql = psycopg.conninfo.make_conninfo(shared.address.get_secret_value(), user="by_sql", password="x")
    with psycopg.connect(shared.address.get_secret_value(), user="reporting", password="x"):
        (client,) = SQL.client_sessions(SecretStr(by_sql))
        (seen_by_neons,) = SQL.client_sessions(shared.address)  # `neon_superuser` is in pg_monitor
    assert (client.role, client.state) == ("reporting", None)
    assert (seen_by_neons.role, seen_by_neons.state) == ("reporting", "idle")


def test_neons_own_sessions_are_not_listed(shared: Database) -> None:
    with shared.project._project.root.storage().cluster.connect():
        assert has_no_clients(shared.address)


def test_the_schema_has_the_columns_that_an_insert_needs(shared: Database) -> None:
    shared.run(
        "CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(80) NOT NULL, note text,"
        " seen timestamptz NOT NULL DEFAULT now(), gone int)"
    )
    shared.run("ALTER TABLE users DROP COLUMN gone")
    shared.run("CREATE VIEW emails AS SELECT email FROM users")
    tables = SQL.live_schema(shared.address).tables
    assert tables["public.users"] == {
        "id": Column(
            type="integer",
            nullable=False,
            has_default=True,
            generated=True,
            default_differs=True,
            sequence="integer: 1 by 1 in 1 to 2147483647",
        ),
        "email": Column(type="character varying(80)", nullable=False, has_default=False),
        "note": Column(type="text", nullable=True, has_default=False),
        "seen": Column(type="timestamp with time zone", nullable=False, has_default=True, default="now()"),
    }
    assert set(tables) == {"public.users", "public.written"}


def test_an_absent_journal_differs_from_an_empty_journal(local_neon: LocalNeon) -> None:
    database = Database(LocalProject(local_neon, Limits()))
    assert SQL.migrations(database.address) is None
    database.run("CREATE SCHEMA drizzle")
    database.run(
        "CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)"
    )
    assert SQL.migrations(database.address) == ()
    database.run("INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('b', 2), ('a', 1)")
    rows = SQL.migrations(database.address)
    assert rows is not None
    assert [(migration.hash, migration.created_at) for migration in rows] == [("a", 1), ("b", 2)]
    database.project.close()


def test_a_session_of_the_rollback_can_not_write(shared: Database) -> None:
    with pytest.raises(QueryFailed, match="ReadOnly"):
        write_through(shared.address)


def test_a_query_without_permission_fails_permanently_and_names_the_grant(shared: Database) -> None:
    with shared.project._project.root.storage().cluster.connect() as admin:
        admin.execute("CREATE ROLE nosy LOGIN PASSWORD 'x'")
    shared.run("CREATE TABLE private (i int)")
    address = psycopg.conninfo.make_conninfo(shared.address.get_secret_value(), user="nosy", password="x")
    with pytest.raises(QueryFailed, match="permission denied for table private; grant what it names") as error:
        run_through(SecretStr(address), "SELECT * FROM private")
    assert error.value.kind is RefusalKind.ACCESS


def test_a_session_that_the_server_ends_counts_as_unreachable(shared: Database) -> None:
    """A compute that goes to sleep ends its sessions; ours only read."""
    with pytest.raises(Unreachable, match="the session with the database ended"):
        run_through(shared.address, "SELECT pg_terminate_backend(pg_backend_pid())")


def write_through(address: SecretStr) -> None:
    run_through(address, "CREATE TABLE forbidden (i int)")


def run_through(address: SecretStr, statement: str) -> None:
    with open_session(address) as session:
        session.execute(statement.encode())


def test_the_error_about_an_unreachable_database_hides_the_password(shared: Database) -> None:
    with pytest.raises(Unreachable) as unreachable:
        SQL.head(SecretStr("postgresql://u:hidden@127.0.0.1:1/app"))
    assert "hidden" not in str(unreachable.value)
    with pytest.raises(SessionRefused) as error:
        SQL.head(SecretStr(shared.address.get_secret_value().replace("@", "hidden@")))
    assert "hidden" not in str(error.value)


def test_the_error_about_an_invalid_address_hides_the_address() -> None:
    with pytest.raises(QueryFailed) as error:
        SQL.head(SecretStr("postgresql://u:hid den@host:port/app"))
    assert "hid" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "other", "kind"),
    [
        ("//app_owner:", "//nobody:", RefusalKind.CREDENTIALS),
        ("@127", "x@127", RefusalKind.CREDENTIALS),
        ("/app", "/no_such_database", RefusalKind.NOT_FOUND),
    ],
)
def test_a_wrong_role_password_or_database_fails_permanently_and_is_not_taken_for_a_starting_compute(
    shared: Database, part: str, other: str, kind: RefusalKind
) -> None:
    """libpq reports no SQLSTATE when a connection fails, so the text of Postgres decides."""
    wrong = other.join(shared.address.get_secret_value().rsplit(part, 1))
    with pytest.raises(SessionRefused) as error:
        SQL.head(SecretStr(wrong))
    assert error.value.kind is kind
    assert "may be starting" not in str(error.value)
    assert "in the settings" in str(error.value)


def test_a_query_returns_its_rows_and_its_first_value_as_psql_prints_it(shared: Database) -> None:
    statements = (
        "SELECT 1 < 2",
        "SELECT NULL",
        "VALUES (7), (8)",
        "SELECT 1 WHERE false",
        "SELECT 'a%b'",
        "SELECT 1.50",
    )
    answers = SQL.answers(shared.address, statements, 5)
    assert [(a.rows, a.value) for a in answers] == [(1, "t"), (1, None), (2, "7"), (0, None), (1, "a%b"), (1, "1.50")]


@pytest.mark.parametrize(
    "statement",
    [
        "WITH gone AS (DELETE FROM kept RETURNING id) SELECT count(*) FROM gone",
        "WITH new AS (INSERT INTO kept VALUES (9) RETURNING id) SELECT id FROM new",
        "SELECT nextval('counter')",
        "SELECT 1; DELETE FROM kept",
        "SELECT 1; COMMIT; DELETE FROM kept",
        "SELECT 1; SET TRANSACTION READ WRITE; DELETE FROM kept",
    ],
)
def test_postgres_itself_refuses_a_write_in_a_statement_of_the_team(shared: Database, statement: str) -> None:
    shared.run("DROP TABLE IF EXISTS kept; DROP SEQUENCE IF EXISTS counter")
    shared.run("CREATE TABLE kept (id int)")
    shared.run("CREATE SEQUENCE counter")
    shared.run("INSERT INTO kept VALUES (1)")

    (refused, after) = SQL.answers(shared.address, (statement, "SELECT count(*), sum(id) FROM kept"), 5)

    assert "read-only transaction" in refused.error or "multiple commands" in refused.error
    assert after.value == "1"
    assert shared.project.run(shared.id, "SELECT is_called FROM counter") == [(False,)]


def test_a_refused_statement_leaves_the_next_ones_alone(shared: Database) -> None:
    wrong, right = SQL.answers(shared.address, ("SELECT no_such_column", "SELECT 1"), 5)
    assert "no_such_column" in wrong.error
    assert right.value == "1"


def test_a_statement_that_takes_too_long_is_cancelled(shared: Database) -> None:
    slow, next_one = SQL.answers(shared.address, ("SELECT pg_sleep(30)", "SELECT 1"), 0.2)
    assert "statement timeout" in slow.error
    assert next_one.value == "1"


def test_each_statement_has_a_snapshot_of_its_own(shared: Database) -> None:
    (first, second) = SQL.answers(shared.address, ("SELECT txid_current_if_assigned() IS NULL",) * 2, 5)
    assert (first.value, second.value) == ("t", "t")
