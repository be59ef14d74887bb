"""The local Neon on real Postgres behaves as Neon's documentation and source say; each test names its page."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest
from contract.neon_projects import LocalProject

from local_cloud.neon.faults import (
    ENDPOINT_DISABLED,
    QUOTA_EXCEEDED,
    address_not_allowed,
)
from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.resources.database.errors import AlreadyExists, NotFound, ProjectLocked, RequestRefused
from rollback.resources.database.neon import Branch


@pytest.fixture
def publisher(local_neon: LocalNeon) -> Iterator[LocalProject]:
    """Its setting `enable_logical_replication` is on."""
    project = LocalProject(local_neon, Limits(), logical_replication=True)
    yield project
    project.close()


def main(project: LocalProject) -> Branch:
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch


def branch_by_id(project: LocalProject, branch_id: str) -> Branch:
    branch = project.databases.branch(branch_id)
    assert branch is not None
    return branch


def child(project: LocalProject, name: str = "staging") -> Branch:
    branch = project.databases.create_branch(name, main(project).id, with_endpoint=True).branch
    project.settle()
    return branch_by_id(project, branch.id)


def send_request(project: LocalProject, method: str, path: str, body: object = None) -> httpx.Response:
    """Send a request that our client never sends."""
    base = project.http._client.base_url
    key = {"Authorization": f"Bearer {project._neon.api_key}"}
    return httpx.request(
        method, f"{base}/projects/{project.id}{path}".replace("//projects", "/projects"), json=body, headers=key
    )


def run(project: LocalProject, branch_id: str, database: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(project.uri(branch_id, database), autocommit=True) as session:
        cursor = session.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def refusal(connect: Callable[[], object]) -> str:
    with pytest.raises(psycopg.OperationalError) as error:
        connect()
    return str(error.value)


# Several databases and roles on one branch


@pytest.mark.parametrize("by", ["api", "sql"])
def test_a_second_database_has_an_address_and_travels_with_its_branch(project: LocalProject, by: str) -> None:
    """https://neon.com/docs/introduction/branch-restore: "All databases on a branch are restored"."""
    root = main(project)
    if by == "sql":
        project.run(root.id, "CREATE DATABASE billing")
    else:
        response = send_request(
            project, "POST", f"/branches/{root.id}/databases", {"database": {"name": "billing", "owner_name": ROLE}}
        )
        assert response.status_code == 201, response.text
    run(project, root.id, "billing", "CREATE TABLE invoices AS SELECT 1 AS id")
    lsn, _ = project.position(root.id)
    run(project, root.id, "billing", "INSERT INTO invoices VALUES (2)")
    project.write(root.id, 2)
    staging = child(project)
    assert run(project, staging.id, "billing", "SELECT id FROM invoices ORDER BY id") == [(1,), (2,)]
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    assert run(project, root.id, "billing", "SELECT id FROM invoices") == [(1,)]
    assert project.rows(root.id) == []
    listed = send_request(project, "GET", f"/branches/{root.id}/databases").json()["databases"]
    assert [(database["name"], database["owner_name"]) for database in listed] == [("app", ROLE), ("billing", ROLE)]
    with pytest.raises(NotFound):
        project.uri(root.id, "none")


def test_neon_returns_the_password_of_a_role_of_the_api_and_none_of_a_role_of_sql(project: LocalProject) -> None:
    root = main(project)
    response = send_request(project, "POST", f"/branches/{root.id}/roles", {"role": {"name": "reader"}})
    assert response.status_code == 201, response.text
    with psycopg.connect(project.uri(root.id, role="reader")) as session:
        assert session.execute("SELECT current_user").fetchone() == ("reader",)
    project.run(root.id, "CREATE ROLE by_sql LOGIN PASSWORD 'x'")
    with pytest.raises(NotFound):
        project.uri(root.id, role="by_sql")
    assert send_request(project, "POST", f"/branches/{root.id}/roles", {"role": {"name": "reader"}}).status_code == 409


def test_every_role_gets_a_new_password_on_a_child_of_a_protected_branch(project: LocalProject) -> None:
    """https://neon.com/docs/guides/protected-branches."""
    root = main(project)
    send_request(project, "POST", f"/branches/{root.id}/roles", {"role": {"name": "reader"}})
    project.databases.update_branch(root.id, protected=True)
    staging = child(project)
    for role in (ROLE, "reader"):
        own, theirs = (psycopg.conninfo.conninfo_to_dict(project.uri(b.id, role=role)) for b in (staging, root))
        assert own["password"] != theirs["password"]
        psycopg.connect(project.uri(staging.id, role=role)).close()


def test_roles_of_the_api_see_past_row_security_and_roles_of_sql_do_not(project: LocalProject) -> None:
    """`neon_superuser` and roles of the API have BYPASSRLS (compute_tools/src/spec_apply.rs in neondatabase/neon)."""
    root = main(project)
    project.run(
        root.id,
        "CREATE TABLE notes (id int, owner text); INSERT INTO notes VALUES (1, 'a'), (2, 'b');"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON notes USING (owner = 'a'); CREATE ROLE app_rw LOGIN PASSWORD 'x';"
        "GRANT SELECT ON notes TO app_rw",
    )
    assert project.run(root.id, "SELECT count(*) FROM notes") == [(2,)]
    as_app = psycopg.conninfo.make_conninfo(project.uri(root.id), user="app_rw", password="x")
    with psycopg.connect(as_app) as session:
        assert session.execute("SELECT count(*) FROM notes").fetchone() == (1,)
        session.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT count(*) FROM notes")
    assert project.run(root.id, "SELECT rolbypassrls FROM pg_roles WHERE rolname = 'neon_superuser'") == [(True,)]


# Logical replication


def slots(project: LocalProject, branch_id: str) -> list[str]:
    return [name for (name,) in project.run(branch_id, "SELECT slot_name::text FROM pg_replication_slots")]


def test_a_replication_slot_does_not_survive_a_restore_and_no_branch_has_its_parents(publisher: LocalProject) -> None:
    """https://neon.com/docs/guides/logical-replication-neon: "Branch restore removes replication slots"."""
    root = main(publisher)
    publisher.run(root.id, "SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
    assert slots(publisher, root.id) == ["debezium"]
    assert slots(publisher, child(publisher).id) == []
    lsn, _ = publisher.position(root.id)
    publisher.write(root.id, 1)
    publisher.databases.restore(root.id, root.id, lsn, "backup")
    publisher.settle()
    assert slots(publisher, root.id) == []


def test_a_subscription_is_dropped_from_a_child_and_stays_on_its_parent(publisher: LocalProject) -> None:
    """The same page: subscriptions "are dropped from child branches before the compute [...] starts"."""
    root = main(publisher)
    publisher.run(
        root.id,
        "CREATE SUBSCRIPTION orders CONNECTION 'host=elsewhere password=x' PUBLICATION orders WITH (connect = false)",
    )
    staging = child(publisher)
    asked_for = "SELECT count(*) FROM pg_stat_subscription"
    assert publisher.run(staging.id, asked_for) == [(0,)]
    assert publisher.run(root.id, asked_for) == [(1,)]


def test_a_logical_slot_is_refused_without_the_projects_setting(project: LocalProject) -> None:
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        project.run(main(project).id, "SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")


# States, and behaviour that a test asks for


@pytest.mark.parametrize("use", ["connect", "branch", "restore from"])
def test_an_archived_branch_is_unarchived_by_its_use_with_its_parents(project: LocalProject, use: str) -> None:
    """https://neon.com/docs/guides/branch-archiving: it and its parents, "all the way up to the root branch"."""
    root, staging = main(project), child(project)
    project.write(staging.id, 5)
    project.archive(staging.id)
    project.archive(root.id)
    states = [branch_by_id(project, branch.id).current_state for branch in (root, staging)]
    assert states == ["archived", "archived"]
    assert branch_by_id(project, staging.id).is_ready
    match use:
        case "connect":
            assert project.rows(staging.id) == [5]
        case "branch":
            project.databases.create_branch("grandchild", staging.id)
        case _:
            other = project.databases.create_branch("other", staging.id).branch
            project.settle()
            project.archive(other.id)
            project.archive(staging.id)
            project.databases.restore(staging.id, other.id, preserve_under_name="before")
    project.settle()
    states = [branch_by_id(project, branch.id).current_state for branch in (root, staging)]
    assert states == ["ready", "ready"]


def test_a_protected_branch_and_one_with_children_in_use_are_not_archived(project: LocalProject) -> None:
    root, staging = main(project), child(project)
    project.databases.update_branch(staging.id, protected=True)
    for branch in (root, staging):
        with pytest.raises(Exception, match="can't be archived"):
            project.archive(branch.id)


def test_an_expiry_is_refused_when_the_test_forbids_expiry(project: LocalProject) -> None:
    """https://neon.com/docs/guides/branch-expiration: not with the Data API. Neon's words are not published."""
    project.behaviour.expiry_refusal = "branch expiration is not supported with the Data API"
    at = project.now() + timedelta(hours=2)
    with pytest.raises(RequestRefused, match="Data API"):
        project.databases.create_branch("preview", main(project).id, expires_at=at)
    assert [branch.name for branch in project.databases.branches()] == ["main"]
    with pytest.raises(RequestRefused, match="Data API"):
        project.databases.expire_branch(child(project).id, at)


def test_a_restore_to_the_own_past_hides_its_time_when_the_test_asks_for_that(project: LocalProject) -> None:
    root = main(project)
    lsn, time_before = project.position(root.id)
    project.write(root.id, 1)
    project.behaviour.reports_last_reset = False
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    assert project.rows(root.id) == []
    assert branch_by_id(project, root.id).last_reset_at is None
    with pytest.raises(RequestRefused):  # its own history begins anew all the same
        project.databases.create_branch("earlier", root.id, time_before)


@pytest.mark.parametrize("locks", [True, False])
def test_a_detachment_outlasts_its_branchs_start_when_the_test_asks_for_that(
    project: LocalProject, locks: bool
) -> None:
    root = main(project)
    lsn, _ = project.position(root.id)
    project.write(root.id, 1)
    project.behaviour.detach_seconds, project.behaviour.detach_locks = 3600, locks
    restored = project.databases.restore(root.id, root.id, lsn, "backup")
    (detaching,) = [operation for operation in restored.operations if operation.action == "detach_parent_branch"]
    deadline = time.monotonic() + 30
    while not branch_by_id(project, root.id).is_ready:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert project.rows(root.id) == []
    assert project.databases.operation(detaching.id).status == "running"
    if locks:
        with pytest.raises(ProjectLocked):
            project.databases.create_branch("staging", root.id)
    else:
        assert child(project).is_ready


def test_a_detachment_ends_by_itself(project: LocalProject) -> None:
    root = main(project)
    lsn, _ = project.position(root.id)
    project.write(root.id, 1)
    project.behaviour.detach_seconds = 0.2
    restored = project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    assert {project.databases.operation(operation.id).status for operation in restored.operations} == {"finished"}


# Answers of the proxy


def test_ip_allow_may_hold_on_all_branches_or_on_protected_ones_only(project: LocalProject) -> None:
    """https://neon.com/docs/guides/protected-branches: the option "removes IP restrictions from all branches"."""
    root = main(project)
    project.settings.allowed_ips = ("203.0.113.0/24",)
    words = refusal(lambda: psycopg.connect(project.uri(root.id)))
    assert f"ERROR:  {address_not_allowed('127.0.0.1')}" in words
    pooled = project.databases.connection_uri(root.id, "app", ROLE, pooled=True).get_secret_value()
    assert address_not_allowed("127.0.0.1") in refusal(lambda: psycopg.connect(pooled))
    project.settings.protected_branches_only = True
    psycopg.connect(project.uri(root.id)).close()
    project.databases.update_branch(root.id, protected=True)
    assert address_not_allowed("127.0.0.1") in refusal(lambda: psycopg.connect(project.uri(root.id)))
    assert project.databases.project().limits_protected_only
    project.settings.allowed_ips = ("127.0.0.0/8",)
    psycopg.connect(project.uri(root.id)).close()


@pytest.mark.parametrize("words", [QUOTA_EXCEEDED, ENDPOINT_DISABLED])
def test_the_proxy_refuses_every_client_when_the_test_asks_for_that(project: LocalProject, words: str) -> None:
    root = main(project)
    project.compute(root.id).refuses = words
    assert f"ERROR:  {words}" in refusal(lambda: psycopg.connect(project.uri(root.id)))
    (endpoint,) = project.databases.endpoints(root.id)
    assert endpoint.disabled == (words == ENDPOINT_DISABLED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, f"ERROR:  password authentication failed for user '{ROLE}'"),
        ({"user": "nobody"}, "ERROR:  password authentication failed for user 'nobody'"),
        ({"dbname": "none"}, 'ERROR:  database "none" does not exist'),
    ],
)
def test_a_wrong_login_is_refused_in_the_proxys_words(
    project: LocalProject, change: dict[str, str], words: str
) -> None:
    """The proxy checks passwords itself, and hands on what Postgres says (source: `local_cloud.neon.faults`)."""
    assert words in refusal(lambda: psycopg.connect(project.uri(main(project).id), **change))  # type: ignore[arg-type]


def test_a_second_read_write_endpoint_is_refused(project: LocalProject) -> None:
    with pytest.raises(AlreadyExists):
        project.databases.create_endpoint(main(project).id)
