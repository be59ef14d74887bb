"""Example calls of the ports to Neon and to Postgres (`rollback.ports.neon`, `rollback.ports.postgres`)."""

from datetime import timedelta
from typing import Any

from examples.calls import EachOf, Example, FromFake
from fakes.clock import FakeClock
from fakes.database_checks import FakeDatabaseChecks
from fakes.neon import FakeNeon
from fakes.sql import FakeSql
from support.builders import NOW

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.database.sequences import SequenceValue
from rollback.resources.database.background_work import BackgroundWork, ReplicationSlot
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.postgres import ClientSession
from rollback.resources.database.relation import RelationKind, RowQuery
from rollback.resources.database.statement import StatementResult
from rollback.resources.database.wal_position import Lsn

MAIN, STAGING, COPY = "br-1", "br-3", "br-5"
ROOT_ENDPOINT, COPY_ENDPOINT = "ep-2", "ep-6"
EARLY_LSN = Lsn(110)  # after the first write
LATER = NOW + timedelta(days=3)
COLUMN = Column(type="text", nullable=True, has_default=False)


def neon() -> FakeNeon:
    """Return a project: `main` has rows, a child with a compute and a child without; no operation runs."""
    fake = FakeNeon(FakeClock(NOW - timedelta(hours=1)))
    fake.write(MAIN, 0)
    for branch in (STAGING, COPY):
        change = fake.create_branch(branch, MAIN, with_endpoint=branch == COPY)
        fake.settle()
        assert change.branch.id == branch, change
        fake.write(branch, len(branch))
    fake.write(MAIN, 6)
    fake._clock.pass_time(hours=1)
    return fake


def sql() -> FakeSql:
    """Return SQL with a client on `main`, whose rows, tables and journal differ from those of the copy."""
    fake = FakeSql(neon())
    fake._neon.write(MAIN, 1)
    fake._neon.write(MAIN, 2)
    fake.sessions[MAIN] = [ClientSession(pid=1, role="owner", application="api", state="idle")]
    fake.background[MAIN] = BackgroundWork(slots=(ReplicationSlot(name="to_kafka", database="app"),))
    fake.ages[MAIN] = {"api": 1.5}
    fake.schemas[MAIN] = LiveSchema(tables={"public.users": {"name": COLUMN}})
    fake.journals[MAIN] = (Migration(hash="0" * 64, created_at=1),)
    return fake


def checks() -> FakeDatabaseChecks:
    return FakeDatabaseChecks()


def address(branch: str) -> FromFake:
    return FromFake(lambda made: made._neon.connection_uri(branch, "app", "owner"))


def pooled(branch: str) -> FromFake:
    return FromFake(lambda made: made._neon.connection_uri(branch, "app", "owner", pooled=True))


ANOTHER = EachOf((address(COPY), pooled(MAIN)))
_AT = EachOf((EARLY_LSN, NOW - timedelta(minutes=90), Lsn(1)))

ROW_QUERY = RowQuery(
    database="app",
    schema_name="public",
    name="written",
    kind=RelationKind.TABLE,
    key=("row",),
    columns=("row",),
    seconds=1,
)
OTHER_ROW_QUERIES = EachOf(
    (
        ROW_QUERY.model_copy(update={"columns": ("no_such_column",)}),
        ROW_QUERY.model_copy(update={"name": "no_such_table"}),
        ROW_QUERY.model_copy(update={"reads_as": "no_such_role"}),
    )
)
SEQUENCE = SequenceValue(database="app", schema_name="public", name="written_row_seq", last_value=2)


def restarted(fake: Any) -> None:
    """Settle the earlier operations, so that the test sees only those of the example."""
    restarting(fake)
    fake.settle()


def restarting(fake: Any) -> None:
    fake.restart_endpoint(COPY_ENDPOINT)


QUESTION = DatabaseQuestion(service="express-api", fingerprint="0" * 64, branch_id=MAIN)
OTHER_QUESTION = QUESTION.model_copy(update={"fingerprint": "1" * 64})


def refute(fake: Any) -> None:
    fake.answers[QUESTION.fingerprint] = (Check.failed("database-answers", "no"),)


def answering(fake: Any) -> None:
    fake.results[MAIN, "SELECT 1"] = StatementResult(rows=1, value="1")
    fake.seconds_of["SELECT 1"] = 2.0


EXAMPLES: dict[str, Example] = {
    "DatabaseChecks.check_database": Example({"question": QUESTION}, {"question": OTHER_QUESTION}, arrange=refute),
    "NeonProject.project": Example({}, {}),
    "NeonProject.branches": Example({}, {}),
    "NeonProject.branch": Example({"branch_id": MAIN}, {"branch_id": EachOf((STAGING, "br-none"))}),
    "NeonProject.branch_named": Example({"name": "main"}, {"name": EachOf((STAGING, "mai"))}),
    "NeonProject.endpoints": Example({"branch_id": MAIN}, {"branch_id": EachOf((STAGING, "br-none"))}),
    "NeonProject.operation": Example(
        {"operation_id": FromFake(lambda made: made._unfinished()[0].id)},
        {"operation_id": "op-none"},
        arrange=restarting,
    ),
    "NeonProject.operations_since": Example(
        {"since": NOW - timedelta(hours=2)}, {"since": NOW + timedelta(hours=1)}, arrange=restarted
    ),
    "NeonProject.connection_uri": Example(
        {"branch_id": MAIN, "database": "app", "role": "owner", "pooled": False},
        {
            "branch_id": EachOf((COPY, STAGING, "br-none")),
            "database": EachOf(("neondb", "no-such-database")),
            "role": EachOf(("app_owner", "no-such-role")),
            "pooled": True,
        },
    ),
    "NeonProject.create_branch": Example(
        {
            "name": "preview",
            "parent_id": MAIN,
            "at": None,
            "with_endpoint": False,
            "protected": False,
            "expires_at": None,
        },
        {
            "name": EachOf(("another", "main")),
            "parent_id": EachOf((COPY, "br-none")),
            "at": _AT,
            "with_endpoint": True,
            "protected": True,
            "expires_at": EachOf((LATER, NOW - timedelta(days=1), NOW + timedelta(days=31))),
        },
    ),
    "NeonProject.restore": Example(
        {"branch_id": COPY, "source_branch_id": MAIN, "at": None, "preserve_under_name": "backup"},
        {
            "branch_id": EachOf((STAGING, MAIN, "br-none")),
            "source_branch_id": EachOf((STAGING, COPY, "br-none")),
            "at": _AT,
            "preserve_under_name": EachOf((None, "another", "main")),
        },
    ),
    "NeonProject.update_branch": Example(
        {"branch_id": COPY, "name": None, "protected": True},
        {
            "branch_id": EachOf((STAGING, "br-none")),
            "name": EachOf(("another", "main")),
            "protected": EachOf((None, False)),
        },
    ),
    "NeonProject.expire_branch": Example(
        {"branch_id": COPY, "at": LATER},
        {"branch_id": EachOf((STAGING, MAIN, "br-none")), "at": EachOf((None, LATER + timedelta(days=1), NOW))},
    ),
    "NeonProject.delete_branch": Example({"branch_id": COPY}, {"branch_id": EachOf((STAGING, MAIN, "br-none"))}),
    "NeonProject.create_endpoint": Example({"branch_id": STAGING}, {"branch_id": EachOf((COPY, "br-none"))}),
    "NeonProject.delete_endpoint": Example(
        {"endpoint_id": COPY_ENDPOINT}, {"endpoint_id": EachOf((ROOT_ENDPOINT, "ep-none"))}
    ),
    "NeonProject.restart_endpoint": Example(
        {"endpoint_id": COPY_ENDPOINT}, {"endpoint_id": EachOf((ROOT_ENDPOINT, "ep-none"))}
    ),
    "Sql.answers": Example(
        {"address": address(MAIN), "statements": ("SELECT 1",), "statement_seconds": 5.0},
        {"address": ANOTHER, "statements": ("SELECT 2",), "statement_seconds": 1.0},
        arrange=answering,
    ),
    "Sql.head": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.measure": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.client_sessions": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.background_work": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.last_activity": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.live_schema": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.migrations": Example({"address": address(MAIN)}, {"address": ANOTHER}),
    "Sql.databases": Example({"address": address(MAIN)}, {"address": pooled(MAIN)}),
    "Sql.relations": Example(
        {"address": address(MAIN), "database": "app"}, {"address": pooled(MAIN), "database": "no_such_database"}
    ),
    "Sql.count": Example(
        {"address": address(MAIN), "row_query": ROW_QUERY}, {"address": ANOTHER, "row_query": OTHER_ROW_QUERIES}
    ),
    "Sql.buckets": Example(
        {"address": address(MAIN), "row_query": ROW_QUERY}, {"address": ANOTHER, "row_query": OTHER_ROW_QUERIES}
    ),
    "Sql.rows": Example(
        {"address": address(MAIN), "row_query": ROW_QUERY, "buckets": (1, 2)},
        {"address": ANOTHER, "row_query": OTHER_ROW_QUERIES, "buckets": (1,)},
    ),
    "Sql.sequences": Example(
        {"address": address(MAIN), "database": "app"}, {"address": ANOTHER, "database": "no_such_database"}
    ),
    "Sql.set_sequences": Example(
        {"address": address(MAIN), "database": "app", "values": ((SEQUENCE, 9),)},
        {
            "address": ANOTHER,
            "database": "no_such_database",
            "values": EachOf((((SEQUENCE, 10),), ((SEQUENCE.model_copy(update={"name": "none"}), 9),))),
        },
    ),
}
