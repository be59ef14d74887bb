"""Replication slots, subscriptions, scheduled jobs and background workers are seen on real Postgres."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from contract.local_cloud.workload import eventually
from contract.neon_projects import LocalProject
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.adapters.postgres.sql import PostgresSql
from rollback.resources.database.background_work import ReplicationSlot, ScheduledJob, Subscription

SQL = PostgresSql()


class Replicating:
    """A project whose default branch has logical replication switched on, as in Neon's project settings."""

    def __init__(self, project: LocalProject) -> None:
        root = project.databases.branch_named("main")
        assert root is not None
        self.project, self.id = project, root.id
        self.address = SecretStr(project.uri(root.id))
        self.project.run(self.id, "SELECT 1")
        with self.admin() as session:
            for setting in ("wal_level = logical", "max_wal_senders = 4", "max_logical_replication_workers = 2"):
                session.execute(f"ALTER SYSTEM SET {setting}".encode())
        (endpoint,) = project.databases.endpoints(root.id)
        project.databases.restart_endpoint(endpoint.id)
        project.settle()
        self.project.run(self.id, "SELECT 1")

    @contextmanager
    def admin(self) -> Iterator["psycopg.Connection[Any]"]:
        with self.project._project.root.storage().cluster.connect() as session:
            yield session

    def as_admin(self, *statements: str) -> None:
        with self.admin() as session:
            for statement in statements:
                session.execute(statement.encode())


@pytest.fixture(scope="module")
def replicating(local_neon: LocalNeon) -> Iterator[Replicating]:
    project = LocalProject(local_neon, Limits())
    yield Replicating(project)
    project.close()


def test_logical_slots_are_listed_without_physical_and_temporary_slots(
    replicating: Replicating,
) -> None:
    """Neon keeps `wal_proposer_slot` and `wal_retention_slot`, which are physical."""
    with replicating.admin() as session:
        session.execute("SELECT pg_create_logical_replication_slot('to_kafka', 'pgoutput')")
        session.execute("SELECT pg_create_logical_replication_slot('of_a_session', 'pgoutput', true)")
        session.execute("SELECT pg_create_physical_replication_slot('wal_proposer_slot')")
        work = SQL.background_work(replicating.address)
    assert work.slots == (ReplicationSlot(name="to_kafka", database="app", plugin="pgoutput"),)
    assert work.unreadable_parts == ()
    replicating.as_admin("SELECT pg_drop_replication_slot('to_kafka'), pg_drop_replication_slot('wal_proposer_slot')")


def test_a_role_without_superuser_rights_lists_subscriptions(replicating: Replicating) -> None:
    subscribe = "CREATE SUBSCRIPTION from_shop CONNECTION 'host=nowhere' PUBLICATION all_of_it WITH (connect = false)"
    replicating.as_admin(subscribe)
    work = SQL.background_work(replicating.address)
    assert work.subscriptions == (Subscription(name="from_shop", database="app", enabled=False),)
    detach = "ALTER SUBSCRIPTION from_shop SET (slot_name = NONE)"
    replicating.as_admin(detach, "DROP SUBSCRIPTION from_shop")


def test_the_apply_worker_of_a_subscription_is_no_client(replicating: Replicating) -> None:
    """Its publisher accepts the connection and never answers, so that the worker stays."""
    replicating.as_admin("GRANT pg_monitor TO app_owner", "CREATE ROLE replicator LOGIN SUPERUSER")

    def workers() -> list[str]:
        return [session.kind for session in SQL.client_sessions(replicating.address) if not session.is_client]

    with socket.create_server(("127.0.0.1", 0)) as publisher:
        replicating.as_admin(
            f"CREATE SUBSCRIPTION from_nobody CONNECTION 'host=127.0.0.1 port={publisher.getsockname()[1]}' "
            "PUBLICATION all_of_it WITH (connect = false)",
            "ALTER SUBSCRIPTION from_nobody OWNER TO replicator",
            "ALTER SUBSCRIPTION from_nobody ENABLE",
        )
        assert eventually(lambda: "logical replication apply worker" in workers())
        (subscription,) = SQL.background_work(replicating.address).subscriptions
        assert subscription.enabled
        replicating.as_admin("ALTER SUBSCRIPTION from_nobody DISABLE")
    assert eventually(lambda: workers() == [])
    replicating.as_admin("ALTER SUBSCRIPTION from_nobody SET (slot_name = NONE)", "DROP SUBSCRIPTION from_nobody")


def test_jobs_of_pg_cron_are_listed_and_jobs_hidden_by_row_security_are_reported_as_unreadable(
    replicating: Replicating,
) -> None:
    """The table and its policy are pg_cron's: pg_cron.sql in https://github.com/citusdata/pg_cron."""
    replicating.project.as_made_by_sql(replicating.id)
    replicating.as_admin(
        "CREATE SCHEMA cron",
        "CREATE TABLE cron.job (jobid bigint PRIMARY KEY, schedule text, command text, nodename text, nodeport int, "
        "database text, username text, active boolean, jobname text)",
        "ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY cron_job_policy ON cron.job USING (username = CURRENT_USER)",
        "GRANT USAGE ON SCHEMA cron TO public",
        "GRANT SELECT ON cron.job TO public",
        "ALTER DATABASE app SET cron.database_name = 'app'",
        "INSERT INTO cron.job VALUES (1, '0 3 * * *', 'x', 'localhost', 5432, 'app', 'app_owner', true, 'nightly'),"
        " (2, '* * * * *', 'y', 'localhost', 5432, 'app', 'another', true, null)",
    )
    work = SQL.background_work(replicating.address)
    nightly = ScheduledJob(number=1, name="nightly", schedule="0 3 * * *", database="app", role="app_owner")
    assert work.jobs == (nightly,)
    assert work.unreadable_parts == ("jobs of pg_cron of other roles (row security)",)


def test_an_unreadable_part_is_reported_and_hides_no_other_part(replicating: Replicating) -> None:
    replicating.project.as_made_by_sql(replicating.id)
    replicating.as_admin("SELECT pg_create_logical_replication_slot('to_kafka', 'pgoutput')")
    replicating.as_admin("REVOKE ALL ON pg_subscription FROM public")
    work = SQL.background_work(replicating.address)
    assert [slot.name for slot in work.slots] == ["to_kafka"]
    (unreadable_part, *_) = work.unreadable_parts
    assert unreadable_part.startswith("subscriptions (permission denied")
    replicating.as_admin("GRANT SELECT (oid, subdbid, subname, subenabled) ON pg_subscription TO public")
