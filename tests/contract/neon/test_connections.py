"""Evidence of a service's connection on real Postgres, direct and behind the pooler."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from contract.neon_projects import LocalProject
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.adapters.postgres.sql import PostgresSql
from rollback.ports.postgres import Sql

SQL: Sql = PostgresSql()


@pytest.fixture(scope="module")
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    project = LocalProject(local_neon, Limits())
    yield project
    project.close()


@pytest.fixture(scope="module")
def root(project: LocalProject) -> str:
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch.id


@pytest.fixture(scope="module")
def address(project: LocalProject, root: str) -> SecretStr:
    return SecretStr(project.uri(root))


def test_a_session_is_listed_by_name_with_the_time_since_its_last_activity(address: SecretStr) -> None:
    began = time.monotonic()
    with psycopg.connect(address.get_secret_value(), application_name="reports", autocommit=True) as session:
        session.execute("SELECT 1")
        quiet_since = time.monotonic()
        time.sleep(0.3)
        age = SQL.last_activity(address)["reports"]
        assert quiet_since - began <= age + 0.3
        assert 0.3 <= age <= time.monotonic() - began
        session.execute("SELECT 1")
        assert SQL.last_activity(address)["reports"] < age


def test_the_list_of_sessions_lacks_absent_services_and_the_rollback_itself(address: SecretStr) -> None:
    activity = SQL.last_activity(address)
    assert "billing" not in activity
    assert "rollback" not in activity


def test_a_session_of_the_pooler_has_the_name_of_its_last_client(
    project: LocalProject, root: str, address: SecretStr
) -> None:
    """PgBouncer tracks application_name (https://www.pgbouncer.org/config.html, track_extra_parameters): one server
    session serves both, so the name of the idle client is gone. Its absence proves nothing."""
    pooled = project.databases.connection_uri(root, "app", ROLE, pooled=True).get_secret_value()
    with (
        psycopg.connect(pooled, application_name="first", autocommit=True, prepare_threshold=None) as first,
        psycopg.connect(pooled, application_name="second", autocommit=True, prepare_threshold=None) as second,
    ):
        first.execute("SELECT 1")
        assert SQL.last_activity(address)["first"] < 5
        second.execute("SELECT 1")
        activity = SQL.last_activity(address)
    assert activity["second"] < 5
    assert "first" not in activity


def test_a_session_without_readable_times_is_no_evidence(project: LocalProject, address: SecretStr) -> None:
    """Without pg_read_all_stats Postgres shows the name of another role's session, and no times."""
    project.as_made_by_sql(project._project.root.id)
    with project._project.root.storage().cluster.connect() as admin:
        admin.execute("CREATE ROLE apart LOGIN PASSWORD 'x'")
    as_another: dict[str, Any] = {"user": "apart", "password": "x", "application_name": "apart"}
    with psycopg.connect(address.get_secret_value(), **as_another) as session:
        session.execute("SELECT 1")
        assert "apart" not in SQL.last_activity(address)
