"""The local Neon's pooler on real Postgres, held against PgBouncer's manual and Neon's configuration of it.

https://github.com/neondatabase/neon/blob/main/compute/etc/pgbouncer.ini and https://www.pgbouncer.org/config.html.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from contract.neon_projects import LocalProject

from local_cloud.neon.compute import Compute
from local_cloud.neon.pooler import SERVER_IDLE_SECONDS
from local_cloud.neon.server import ROLE
from rollback.resources.database.connection_secret import SecretKeys, is_pooled


@pytest.fixture
def compute(project: LocalProject, root: str) -> Compute:
    return project.compute(root)


@pytest.fixture
def pooled(project: LocalProject, root: str) -> str:
    return project.databases.connection_uri(root, "app", ROLE, pooled=True).get_secret_value()


def sessions(project: LocalProject, root: str) -> list[tuple[str, str]]:
    """Return application and state of each session of the role, without the asking session."""
    return [
        (application, state)
        for application, state in project.run(
            root,
            "SELECT application_name, state FROM pg_stat_activity WHERE usename = %s AND pid <> pg_backend_pid() "
            "ORDER BY application_name",
            ROLE,
        )
    ]


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_a_pooled_address_has_its_own_host(project: LocalProject, root: str, pooled: str) -> None:
    direct = project.databases.connection_uri(root, "app", ROLE)
    assert is_pooled(project.databases.connection_uri(root, "app", ROLE, pooled=True), SecretKeys())
    assert not is_pooled(direct, SecretKeys())
    with psycopg.connect(pooled) as through, psycopg.connect(direct.get_secret_value()) as beside:
        query = "SELECT pg_backend_pid(), current_user, current_database()"
        pooled_row, other = through.execute(query).fetchone(), beside.execute(query).fetchone()
        assert pooled_row is not None
        assert other is not None
        assert (pooled_row[1:], pooled_row[0] == other[0]) == (other[1:], False)


def test_a_server_connection_is_kept_after_its_clients_have_gone(
    project: LocalProject, root: str, compute: Compute, pooled: str
) -> None:
    """server_idle_timeout: 600 s unless set."""
    assert compute.pooler.server_idle_seconds == SERVER_IDLE_SECONDS == 600
    with psycopg.connect(pooled, application_name="express-api") as client:
        client.execute("SELECT 1")
    time.sleep(0.3)
    assert sessions(project, root) == [("express-api", "idle")]
    compute.pooler.server_idle_seconds = 0.2
    assert eventually(lambda: sessions(project, root) == [])


def test_a_server_connection_bears_the_name_of_its_last_client_or_the_poolers(
    project: LocalProject, root: str, pooled: str
) -> None:
    """`application_name=pgbouncer` in Neon's configuration, for clients that name none."""
    with psycopg.connect(pooled) as client:
        client.execute("SELECT 1")
    assert sessions(project, root) == [("pgbouncer", "idle")]
    with psycopg.connect(pooled, application_name="worker") as client:
        client.execute("SELECT 1")
    assert sessions(project, root) == [("worker", "idle")]


def test_a_client_has_a_server_connection_for_a_transaction_only(project: LocalProject, root: str, pooled: str) -> None:
    with (
        psycopg.connect(pooled, autocommit=True, application_name="a") as first,
        psycopg.connect(pooled, autocommit=True, application_name="b") as second,
    ):
        pids = {client.execute("SELECT pg_backend_pid()").fetchone() for client in (first, second, first, second)}
        assert len(pids) == 1
        with first.transaction():
            first.execute("INSERT INTO written VALUES (1)")
            assert second.execute("SELECT count(*) FROM written").fetchone() == (0,)
            assert len(sessions(project, root)) == 2
    assert project.rows(root) == [1]


def test_a_setting_of_a_session_stays_with_the_server_connection(pooled: str) -> None:
    """No session state is a client's own: `server_reset_query` is not run in transaction pooling."""
    with psycopg.connect(pooled, autocommit=True) as first, psycopg.connect(pooled, autocommit=True) as second:
        first.execute("SET work_mem = '7MB'")
        assert second.execute("SHOW work_mem").fetchone() == ("7MB",)
        first.execute("SET application_name = 'renamed'")  # this one is followed from client to client
        assert second.execute("SHOW application_name").fetchone() == ("pgbouncer",)
        assert first.execute("SHOW application_name").fetchone() == ("renamed",)


def test_a_transaction_that_a_client_leaves_open_is_not_committed(
    project: LocalProject, root: str, pooled: str
) -> None:
    client = psycopg.connect(pooled)
    client.execute("INSERT INTO written VALUES (1)")
    client.close()
    assert eventually(lambda: sessions(project, root) == [])
    assert project.rows(root) == []


def test_many_clients_at_once_share_few_server_connections(project: LocalProject, root: str, pooled: str) -> None:
    clients, together = 25, Barrier(25)

    def write(row: int) -> None:
        with psycopg.connect(pooled, autocommit=True) as client:
            together.wait(30)
            client.execute("INSERT INTO written SELECT %s FROM pg_sleep(0.02)", [row])

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(write, range(clients)))
    assert sorted(project.rows(root)) == list(range(clients))
    assert len(sessions(project, root)) <= 20


def test_a_restart_of_the_endpoint_ends_all_pooled_sessions(project: LocalProject, root: str, pooled: str) -> None:
    """Neon ends PgBouncer with the compute (`terminate pgbouncer` in compute_tools/src/compute.rs)."""
    client = psycopg.connect(pooled, autocommit=True)
    client.execute("SELECT 1")
    (endpoint,) = project.databases.endpoints(root)
    project.databases.restart_endpoint(endpoint.id)
    project.settle()
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    assert sessions(project, root) == []
    with psycopg.connect(pooled) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_suspended_compute_is_woken_by_a_pooled_client(compute: Compute, pooled: str) -> None:
    compute.suspend()
    assert compute.state == "idle"
    with psycopg.connect(pooled) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, f"ERROR:  password authentication failed for user '{ROLE}'"),
        ({"dbname": "none"}, 'ERROR:  database "none" does not exist'),
        (
            {"options": "-c statement_timeout=5"},
            "ERROR:  unsupported startup parameter in options: statement_timeout. Please use unpooled connection",
        ),
    ],
)
def test_a_pooled_client_is_refused_in_the_proxys_words(pooled: str, change: dict[str, str], words: str) -> None:
    """https://neon.com/docs/connect/connection-errors, "Unsupported startup parameter"; the rest as in neon_faults."""
    with pytest.raises(psycopg.OperationalError) as error:
        psycopg.connect(pooled, **change)  # type: ignore[arg-type]
    assert words in str(error.value)
