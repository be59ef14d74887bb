"""Data-loss analysis on the local Neon with real Postgres: exact, or it names the tables that were not compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from contract.neon_projects import LocalProject
from fakes.clock import FakeClock
from psycopg.conninfo import make_conninfo
from simulations.fake_ports import make_ports
from support.builders import release, rollback

from local_cloud.neon.cluster import DATABASE
from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.database.data_loss.report import report_data_loss
from rollback.database.data_loss.step import compare_lost_rows, schedule_comparison
from rollback.domain.database.data_loss import DataLossReport, TableDataLoss
from rollback.domain.database.data_loss_analysis import comparison_branch_name
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import (
    DatabaseOutcome,
    OriginalBranch,
    RestorePoint,
    RestoreProgress,
    backup_name,
)
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.reports.data_loss import format_data_loss
from rollback.resources.database.wal_position import Lsn

KEY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-AbCdEf"


@dataclass
class Branch:
    """Production, restored to `point`; then the backup is compared with the restored branch."""

    project: LocalProject
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self.project.databases.branch_named("main")
        assert root is not None
        self.id = root.id
        self.point: Lsn | None = None
        self.backup_id = ""
        fields = {"report_keys": "keys", **self.settings}
        database = DatabaseSettings(
            project_id="p", branch_id=self.id, database=DATABASE, role=ROLE, api_key_secret_arn=KEY, **fields
        )
        ports = make_ports(clock=FakeClock(self.project.now()))
        settings = ports.settings.model_copy(update={"database": database})
        self.ports = replace(ports, neon=self.project.databases, sql=self.project.sql, settings=settings)

    def run(self, statement: str, database: str | None = None) -> None:
        uri = self.project.uri(self.id)
        with psycopg.connect(make_conninfo(uri, dbname=database) if database else uri, autocommit=True) as session:
            session.execute(statement.encode())

    def as_admin(self, statement: str, database: str = DATABASE) -> None:
        with self.project._project.branch(self.id).storage().cluster.connect(database) as session:
            session.execute(statement.encode())

    def good_until_now(self) -> None:
        self.point, _ = self.project.position(self.id)

    def restore(self) -> Rollback:
        """Restore the branch, and build the concluded rollback that the database step would leave."""
        now, document = self.ports.clock.now(), rollback()
        assert self.point is not None
        self.project.databases.restore(self.id, self.id, self.point, backup_name(document.id))
        self.project.settle()
        backup = self.project.databases.branch_named(backup_name(document.id))
        assert backup is not None
        self.backup_id = backup.id
        plan = DatabasePlan(strategy=Strategy.RESTORE, branch=self.id)
        progress = RestoreProgress(
            point=RestorePoint(at=now),
            started_at=now,
            before=OriginalBranch(id=self.id, name="main", protected=False),
            backup_id=backup.id,
            preview_lsn=self.point,
            database_outcome=DatabaseOutcome.RESTORED,
            ended_at=now,
        )
        planned = Plan(running=release("v2"), target=release("v1"), database=plan, checks=())
        concluded = document.evolve(plan=planned, database=progress, outcome=Outcome.SUCCEEDED)
        return schedule_comparison(concluded, now).evolve(concluded_at=now)

    def compare(self, document: Rollback) -> DataLossReport:
        for _ in range(40):
            document = compare_lost_rows(document, self.ports)
            self.project.settle()
            assert document.database is not None
            if document.database.data_loss is not None:
                self.document = document
                return document.database.data_loss
        raise AssertionError(document.database)

    def restore_and_report(self) -> DataLossReport:
        return self.compare(self.restore())


def only(report: DataLossReport) -> TableDataLoss:
    (table,) = report.tables
    return table


@pytest.fixture
def branch(local_neon: LocalNeon) -> Iterator[Branch]:
    project = LocalProject(local_neon, Limits())
    yield Branch(project)
    project.close()


def test_the_report_denies_data_loss_only_after_every_table_was_compared(branch: Branch) -> None:
    branch.run("INSERT INTO written VALUES (1)")
    branch.good_until_now()
    report = branch.restore_and_report()
    assert format_data_loss(report) == [
        "the restore removed no row",
        f"compared row by row: 1 table of 1 database, against a branch created at {branch.point}, which no service "
        "writes to",
    ]


def test_rows_are_counted_by_their_fate_while_services_write(branch: Branch) -> None:
    branch.run("CREATE TABLE users (id int PRIMARY KEY, name text)")
    branch.run("INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    branch.good_until_now()
    branch.run("INSERT INTO users VALUES (4, 'd'), (5, 'e')")
    branch.run("UPDATE users SET name = 'x' WHERE id = 1")
    branch.run("DELETE FROM users WHERE id = 2")
    document = branch.restore()
    branch.run("INSERT INTO users VALUES (4, 'another')")  # a service that runs again
    branch.run("DELETE FROM users WHERE id = 3")
    table = only(branch.compare(document))
    assert (table.rows_before, table.rows_after) == (4, 3)
    assert (table.removed_rows, table.changed_rows, table.returned_rows) == (2, 1, 1)
    assert (table.removed_keys, table.changed_keys) == (("4", "5"), ("1",))


def test_lost_rows_of_another_database_are_reported(branch: Branch) -> None:
    """A restore takes every database of a branch back (https://neon.com/docs/introduction/branch-restore)."""
    branch.as_admin(f"CREATE DATABASE billing OWNER {ROLE} TEMPLATE {DATABASE}")
    branch.run("CREATE TABLE invoices (id integer PRIMARY KEY)", "billing")
    branch.run("INSERT INTO invoices VALUES (1)", "billing")
    branch.good_until_now()
    branch.run("INSERT INTO invoices VALUES (2), (3)", "billing")
    report = branch.restore_and_report()
    assert "the restore removed no row" not in format_data_loss(report)
    assert (only(report).table, only(report).removed_keys) == ("billing.public.invoices", ("2", "3"))
    assert report.databases == 2


def test_a_database_created_after_the_restore_point_is_reported_table_by_table(branch: Branch) -> None:
    branch.good_until_now()
    branch.as_admin(f"CREATE DATABASE billing OWNER {ROLE} TEMPLATE {DATABASE}")
    branch.run("CREATE TABLE invoices (id integer PRIMARY KEY)", "billing")
    branch.run("INSERT INTO invoices VALUES (1)", "billing")
    fates = {table.table: (table.is_gone, table.removed_rows) for table in branch.restore_and_report().tables}
    assert fates == {"billing.public.invoices": (True, 1), "billing.public.written": (True, 0)}


def test_a_database_that_the_role_may_not_connect_to_is_named(branch: Branch) -> None:
    branch.as_admin(f"CREATE DATABASE secret TEMPLATE {DATABASE}")
    branch.as_admin("REVOKE CONNECT ON DATABASE secret FROM PUBLIC")
    branch.good_until_now()
    report = branch.restore_and_report()
    assert report.not_looked_at == ("database secret: the role may not connect to it",)
    assert "the restore removed no row" not in format_data_loss(report)


def test_rows_without_a_key_are_compared_as_a_multiset(branch: Branch) -> None:
    branch.run("CREATE TABLE audit (what text)")
    branch.run("INSERT INTO audit SELECT 'old ' || i % 25 FROM generate_series(1, 50) i")
    branch.good_until_now()
    branch.run("DELETE FROM audit")
    branch.run("INSERT INTO audit SELECT 'new ' || i % 25 FROM generate_series(1, 50) i")
    table = only(branch.restore_and_report())
    assert (table.rows_before, table.rows_after) == (50, 50)
    assert (table.removed_rows, table.returned_rows, table.has_key) == (50, 50, False)
    assert table.removed_keys is None


def test_copies_of_one_row_are_counted(branch: Branch) -> None:
    branch.run("CREATE TABLE audit (what text)")
    branch.run("INSERT INTO audit VALUES ('a'), ('a'), (NULL)")
    branch.good_until_now()
    branch.run("INSERT INTO audit VALUES ('a'), ('a'), (NULL)")
    assert only(branch.restore_and_report()).removed_rows == 3


def test_composite_keys_with_the_same_text_stay_distinct(branch: Branch) -> None:
    branch.run("CREATE TABLE pairs (a text, b text, PRIMARY KEY (a, b))")
    branch.run("INSERT INTO pairs VALUES ('x', 'y,z')")
    branch.good_until_now()
    branch.run("DELETE FROM pairs")
    branch.run("INSERT INTO pairs VALUES ('x,y', 'z')")
    table = only(branch.restore_and_report())
    assert (table.removed_rows, table.changed_rows, table.returned_rows) == (1, 0, 1)
    assert table.removed_keys == ('["x,y", "z"]',)


def test_a_table_whose_rows_a_forced_policy_hides_is_not_taken_for_empty(branch: Branch) -> None:
    """`FORCE ROW LEVEL SECURITY` holds for the owner too (Postgres's manual, "Row Security Policies")."""
    branch.project.as_made_by_sql(branch.id)
    branch.run("CREATE TABLE tenants (id int PRIMARY KEY)")
    branch.run("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY")
    branch.run("ALTER TABLE tenants FORCE ROW LEVEL SECURITY")
    branch.run("CREATE POLICY own ON tenants USING (id = 0) WITH CHECK (true)")
    branch.good_until_now()
    branch.run("INSERT INTO tenants VALUES (1), (2)")
    report = branch.restore_and_report()
    assert report.not_looked_at == (f"public.tenants: row security hides rows from role {ROLE}",)
    assert "the restore removed no row" not in format_data_loss(report)


def test_hidden_rows_are_read_as_a_role_that_sees_all_where_there_is_one(branch: Branch) -> None:
    branch.run("CREATE TABLE tenants (id int PRIMARY KEY)")
    branch.run("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY")
    branch.run("ALTER TABLE tenants FORCE ROW LEVEL SECURITY")
    branch.as_admin("CREATE ROLE auditor BYPASSRLS")
    branch.as_admin(f"GRANT auditor TO {ROLE}")
    branch.run("GRANT SELECT ON tenants TO auditor")
    branch.good_until_now()
    branch.as_admin("INSERT INTO tenants VALUES (1), (2)")
    report = branch.restore_and_report()
    assert report.not_looked_at == ()
    assert only(report).removed_keys == ("1", "2")


def test_the_owner_sees_all_rows_of_a_table_without_a_forced_policy(branch: Branch) -> None:
    branch.run("CREATE TABLE tenants (id int PRIMARY KEY)")
    branch.run("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY")
    branch.good_until_now()
    branch.run("INSERT INTO tenants VALUES (1)")
    assert only(branch.restore_and_report()).removed_rows == 1


def test_each_relation_that_can_not_be_compared_is_named_with_the_reason(branch: Branch) -> None:
    branch.project.as_made_by_sql(branch.id)
    branch.run("CREATE UNLOGGED TABLE cache (i int PRIMARY KEY)")
    branch.run("CREATE MATERIALIZED VIEW never AS SELECT 1 AS i WITH NO DATA")
    branch.as_admin("CREATE TABLE private (i int); CREATE ROLE other; ALTER TABLE private OWNER TO other")
    branch.as_admin("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    branch.as_admin("CREATE FOREIGN TABLE elsewhere (i int) SERVER s; ALTER FOREIGN TABLE elsewhere OWNER TO other")
    branch.good_until_now()
    reasons = dict(line.split(": ", 1) for line in branch.restore_and_report().not_looked_at)
    assert sorted(reasons) == ["public.cache", "public.elsewhere", "public.never", "public.private"]
    assert "unlogged" in reasons["public.cache"]
    assert "not on the branch" in reasons["public.elsewhere"]
    assert "not populated" in reasons["public.never"]
    assert f"role {ROLE} may not read it" in reasons["public.private"]


def test_partitions_inherited_tables_and_materialized_views_are_compared_once_each(branch: Branch) -> None:
    branch.run("CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    branch.run("CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)")
    branch.run("CREATE TABLE parent (i int PRIMARY KEY)")
    branch.run("CREATE TABLE child (PRIMARY KEY (i)) INHERITS (parent)")
    branch.run("CREATE MATERIALIZED VIEW seen AS SELECT id FROM events")
    branch.good_until_now()
    branch.run("INSERT INTO events VALUES (1)")
    branch.run("INSERT INTO child VALUES (1)")
    branch.run("REFRESH MATERIALIZED VIEW seen")
    report = branch.restore_and_report()
    assert {t.table: t.removed_rows for t in report.tables} == {
        "public.child": 1, "public.events_1": 1, "public.seen": 1,
    }  # fmt: skip
    assert report.compared == 5


def test_large_objects_are_compared_by_their_content(branch: Branch) -> None:
    branch.run("SELECT lo_from_bytea(5001, 'kept'), lo_from_bytea(5002, 'before')")
    branch.good_until_now()
    branch.run("SELECT lo_put(5002, 0, 'after!'), lo_from_bytea(5003, 'lost')")
    table = only(branch.restore_and_report())
    assert table.table == "large objects"
    assert (table.removed_keys, table.changed_keys) == (("5003",), ("5002",))


def test_a_dropped_column_does_not_make_rows_differ(branch: Branch) -> None:
    branch.run("CREATE TABLE users (id int PRIMARY KEY, email text, name text)")
    branch.run("INSERT INTO users VALUES (1, 'a@x', 'a'), (2, 'b@x', 'b')")
    branch.good_until_now()
    branch.run("ALTER TABLE users DROP COLUMN email, ADD COLUMN nick text")
    branch.run("UPDATE users SET name = 'c' WHERE id = 2")
    table = only(branch.restore_and_report())
    assert (table.removed_columns, table.returned_columns) == (("nick",), ("email",))
    assert (table.changed_rows, table.changed_keys) == (1, ("2",))


def test_tables_that_only_one_branch_has_are_reported(branch: Branch) -> None:
    branch.run("CREATE TABLE dropped (i int)")
    branch.good_until_now()
    branch.run("DROP TABLE dropped; CREATE TABLE fresh (i int); INSERT INTO fresh VALUES (1)")
    report = branch.restore_and_report()
    assert (only(report).table, only(report).is_gone, only(report).removed_rows) == ("public.fresh", True, 1)
    assert report.returned_tables == ("public.dropped",)


def test_settings_of_one_branch_do_not_make_rows_differ(branch: Branch) -> None:
    branch.run("CREATE TABLE seen (at timestamptz PRIMARY KEY, f float8, b bytea)")
    branch.run("INSERT INTO seen VALUES ('2026-03-01T03:00:00Z', 0.1, '\\x00ff')")
    branch.good_until_now()
    branch.as_admin(f"ALTER DATABASE {DATABASE} SET TimeZone = 'Asia/Tokyo'")
    branch.as_admin(f"ALTER ROLE {ROLE} SET bytea_output = 'escape'; ALTER ROLE {ROLE} SET DateStyle = 'German'")
    assert format_data_loss(branch.restore_and_report())[0] == "the restore removed no row"


def test_every_row_of_a_long_table_that_was_updated_is_counted_and_few_are_named(branch: Branch) -> None:
    rows = 100_000  # two million in `benchmarks/data_loss.py`
    branch.run("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    branch.run(f"INSERT INTO orders SELECT generate_series(1, {rows}), 'good'")
    branch.good_until_now()
    branch.run("UPDATE orders SET status = 'bad'")
    report = branch.restore_and_report()
    assert only(report).changed_rows == rows
    assert len(only(report).changed_keys or ()) == 20
    assert len(report.model_dump_json()) < 2_000


def test_keys_enter_ledger_and_report_only_by_the_setting(local_neon: LocalNeon) -> None:
    project = LocalProject(local_neon, Limits())
    branch = Branch(project, {"report_keys": "counts"})
    branch.run("CREATE TABLE people (email text PRIMARY KEY)")
    branch.good_until_now()
    branch.run("INSERT INTO people VALUES ('ada@example.com')")
    report = branch.restore_and_report()
    assert only(report).removed_rows == 1
    assert "ada@" not in report.model_dump_json()
    assert format_data_loss(report)[0] == "public.people: 1 rows before the restore, 0 after; gone: 1; changed back: 0"
    project.close()


def test_a_table_that_takes_too_long_is_named_and_the_others_are_compared(branch: Branch) -> None:
    branch.run("CREATE TABLE a_slow (i int PRIMARY KEY)")
    branch.good_until_now()
    branch.run("INSERT INTO written VALUES (7)")
    document = branch.restore()
    branch.project.databases.create_endpoint(branch.backup_id)
    branch.project.settle()
    policy = branch.ports.settings.policy.model_copy(update={"database_timeout_seconds": 10})
    branch.ports = replace(branch.ports, settings=branch.ports.settings.model_copy(update={"policy": policy}))
    with psycopg.connect(branch.project.uri(branch.backup_id)) as session:
        session.execute("LOCK TABLE a_slow IN ACCESS EXCLUSIVE MODE")
        report = branch.compare(document)
    (named,) = report.not_looked_at
    assert named.startswith("public.a_slow: ")
    assert "statement timeout" in named
    assert only(report).removed_keys == ("7",)


def test_a_table_that_can_only_be_counted_is_reported_as_counted(branch: Branch) -> None:
    branch.as_admin("SELECT lo_from_bytea(5001, 'of another role')")
    branch.good_until_now()
    branch.as_admin("SELECT lo_from_bytea(5002, 'of another role')")
    report = branch.restore_and_report()
    (named,) = report.counted
    assert named.startswith("large objects: 2 rows before, 1 after: ")
    assert "permission denied for large object" in named


def test_the_backup_s_compute_and_the_compared_branch_are_gone_after_the_report(branch: Branch) -> None:
    branch.good_until_now()
    branch.run("INSERT INTO written VALUES (1)")
    branch.restore_and_report()
    assert branch.project.databases.endpoints(branch.backup_id) != ()
    document = branch.document
    for _ in range(20):
        document = report_data_loss(document, branch.ports)
        branch.project.settle()
        assert document.database is not None
        if (
            document.database.data_loss_analysis is not None
            and document.database.data_loss_analysis.reported_at is not None
        ):
            break
    databases = branch.project.databases
    assert databases.branch_named(comparison_branch_name(document.id)) is None
    assert databases.endpoints(branch.backup_id) == ()
    assert databases.branch(branch.backup_id) is not None
    notes = document.database.notes if document.database is not None else ()
    assert any(f"neon branches add-compute {branch.backup_id}" in note for note in notes)
    assert not document.database.is_data_loss_report_due if document.database is not None else False
