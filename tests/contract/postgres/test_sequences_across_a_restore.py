"""Sequences continue behind the ids of removed rows, on real Postgres, through the restore itself."""

from collections.abc import Iterator

import psycopg
import pytest
from contract.neon_projects import LocalProject
from fakes.aws.ecs_services import FakeServices
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from simulations.fake_ports import make_ports
from support.builders import SERVICE, definition, rollback
from support.database_progress import narrow

from local_cloud.neon.cluster import DATABASE
from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.adapters.postgres.sql import PostgresSql
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.reconciler import restore
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.progress import DatabaseOutcome, RestorePoint, RestoreProgress
from rollback_cli.demo.database.seed import IMPORTED_USERS


class Restored:
    """Branch `main`, restored to a point; statements run before and after it."""

    def __init__(self, project: LocalProject) -> None:
        self.project = project
        root = project.databases.branch_named("main")
        assert root is not None
        self.id = root.id

    def run(self, statement: str, database: str = DATABASE) -> list[tuple[object, ...]]:
        uri = make_conninfo(self.project.uri(self.id), dbname=database)
        with psycopg.connect(uri, autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def as_admin(self, statement: str) -> None:
        with self.project._project.branch(self.id).storage().cluster.connect() as session:
            session.execute(statement.encode())

    def restore(self, at: RestorePoint, **settings: object) -> RestoreProgress:
        clock, ledger = FakeClock(self.project.now()), FakeLedger()
        services = FakeServices(clock)
        services.run(services.register_release(definition("v1"), "family"))
        lease = ledger.acquire(SERVICE, rollback().id, clock.now(), clock.now().replace(year=2100))
        assert lease is not None
        ports = make_ports(clock=clock, ledger=ledger, services=services)
        fields = {"branch_id": self.id, "database": DATABASE, "role": ROLE, "writers": ports.settings.services}
        target = BranchSettings.model_validate({**fields, "window_margin_minutes": 0, **settings})
        context, document = (
            BranchContext(target, self.project.databases, self.project.sql),
            rollback(lease_counter=lease.counter),
        )
        for _ in range(200):
            document = restore(document, at, context, ports)
            assert document.database is not None
            if document.database.ended_at is not None:
                return narrow(document.database, RestoreProgress)
            if document.wait_seconds:
                services.tick()
                self.project.settle()
        raise AssertionError(document.database)

    def now(self) -> RestorePoint:
        lsn, at = self.project.position(self.id)
        return RestorePoint(at=at, lsn=lsn)


@pytest.fixture
def branch(local_neon: LocalNeon) -> Iterator[Restored]:
    project = LocalProject(local_neon, Limits())
    yield Restored(project)
    project.close()


def test_new_rows_get_no_id_of_a_lost_row_in_any_database(branch: Restored) -> None:
    branch.as_admin(f"CREATE DATABASE billing OWNER {ROLE} TEMPLATE {DATABASE}")
    branch.run("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text)")
    branch.run("CREATE TABLE invoices (id serial PRIMARY KEY)", "billing")
    branch.run("CREATE SEQUENCE \"Down\" INCREMENT -5; CREATE SEQUENCE still; SELECT nextval('still')")
    branch.run("INSERT INTO orders (what) SELECT 'good' FROM generate_series(1, 10)")
    point = branch.now()
    branch.run("INSERT INTO orders (what) SELECT 'bad' FROM generate_series(1, 70)")
    branch.run("INSERT INTO invoices SELECT FROM generate_series(1, 3)", "billing")
    branch.run("SELECT nextval('\"Down\"'), nextval('\"Down\"')")
    progress = branch.restore(point)

    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    assert branch.run("INSERT INTO orders (what) VALUES ('new') RETURNING id") == [(81,)]
    assert branch.run("INSERT INTO invoices DEFAULT VALUES RETURNING id", "billing") == [(4,)]
    assert branch.run("SELECT nextval('\"Down\"')") == [(-11,)]
    assert [sequence.in_words() for sequence in progress.sequences_carried or ()] == [
        "billing.public.invoices_id_seq continues after 3 instead of its beginning: new rows reuse no id of a removed "
        "row",
        "public.Down continues after -6 instead of its beginning: new rows reuse no id of a removed row",
        "public.orders_id_seq continues after 80 instead of 33: new rows reuse no id of a removed row",
    ]
    assert progress.sequences == (), "the document does not keep what it was done from"


@pytest.mark.parametrize(("lost", "is_taken_back"), [(32, False), (33, True), (IMPORTED_USERS, True)])
def test_postgres_logs_32_ids_ahead_and_the_demo_loses_more(branch: Restored, lost: int, is_taken_back: bool) -> None:
    branch.run("CREATE TABLE orders (id serial PRIMARY KEY, what text)")
    branch.run("INSERT INTO orders (what) VALUES ('good')")
    point = branch.now()
    branch.run(f"INSERT INTO orders (what) SELECT 'bad' FROM generate_series(1, {lost})")  # noqa: S608 - a number
    progress = branch.restore(point)

    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    assert bool(progress.sequences_carried) is is_taken_back
    ((new,),) = branch.run("INSERT INTO orders (what) VALUES ('new') RETURNING id")
    assert new == 1 + lost + 1, (
        "new rows reuse no id of a removed row, whether the sequence was carried or logged ahead"
    )


def test_a_sequence_that_the_role_may_not_set_is_reported_and_the_restore_succeeds(branch: Restored) -> None:
    branch.project.as_made_by_sql(branch.id)
    branch.run("CREATE SEQUENCE tickets")
    branch.as_admin(
        f"CREATE ROLE other; ALTER SEQUENCE tickets OWNER TO other; GRANT USAGE, SELECT ON SEQUENCE tickets TO {ROLE}"
    )
    point = branch.now()
    branch.run("SELECT nextval('tickets')")
    progress = branch.restore(point)
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    (sequence,) = progress.sequences_carried or ()
    assert "permission denied for sequence tickets" in sequence.why_not
    assert "new rows may reuse ids of removed rows" in sequence.in_words()


def test_sequences_return_with_the_rows_if_the_settings_say_so(branch: Restored) -> None:
    branch.run("CREATE SEQUENCE tickets")
    point = branch.now()
    branch.run("SELECT nextval('tickets')")
    assert branch.restore(point, carry_sequences=False).sequences_carried is None
    assert branch.run("SELECT nextval('tickets')") == [(1,)]


def test_setting_a_sequence_is_idempotent_and_keeps_its_bounds_and_cycle(branch: Restored) -> None:
    branch.run("CREATE SEQUENCE round MINVALUE 1 MAXVALUE 9 CYCLE")
    address, sql = SecretStr(branch.project.uri(branch.id)), PostgresSql()
    (sequence,) = (candidate for candidate in sql.sequences(address, DATABASE) if candidate.name == "round")
    for _ in range(2):
        assert sql.set_sequences(address, DATABASE, [(sequence, 9)]) == {}
    assert branch.run("SELECT nextval('round')") == [(1,)]
    (after,) = (candidate for candidate in sql.sequences(address, DATABASE) if candidate.name == "round")
    assert (after.minimum, after.maximum, after.cycles) == (1, 9, True)
