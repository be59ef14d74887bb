"""What the steps are promised of SQL on a branch, on the fakes and on real Postgres behind the local Neon."""

from collections.abc import Iterator

import pytest
from contract.local_cloud.workload import eventually
from contract.neon_projects import FakeProject, LocalProject, NeonProject
from pydantic import SecretStr

from local_cloud.neon_project import Limits
from local_cloud.neon_server import ROLE
from rollback.model.database_content import lost_writes
from rollback.model.database_errors import QueryFailed, SessionRefused, Unreachable
from rollback.model.database_view import Branch


@pytest.fixture(params=["fake", "local"])
def project(request: pytest.FixtureRequest) -> Iterator[NeonProject]:
    if request.param == "fake":
        yield FakeProject(Limits())
        return
    local = LocalProject(request.getfixturevalue("local_neon"), Limits())
    yield local
    local.close()


def main(project: NeonProject) -> tuple[Branch, SecretStr]:
    found = project.databases.branch_named("main")
    assert found is not None
    return found, project.databases.connection_uri(found.id, "app", ROLE)


def test_a_head_is_a_point_to_restore_to_and_what_that_takes_is_told(project: NeonProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    head = project.sql.head(address)
    project.write(root.id, 2)
    assert project.sql.head(address).lsn > head.lsn
    before = project.sql.content(address, 10)
    project.databases.restore(root.id, root.id, head.lsn, "backup")
    project.settle()
    (lost,) = lost_writes(before, project.sql.content(address, 10))
    assert (lost.table, lost.rows_before, lost.rows_after) == ("public.written", 2, 1)
    assert (lost.removed_keys, lost.changed_keys) == (("2",), ())


def test_a_table_that_is_too_long_is_only_counted(project: NeonProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    project.write(root.id, 2)
    content = project.sql.content(address, 1)["public.written"]
    assert (content.rows, content.digests) == (2, None)


def test_a_client_is_seen_while_it_is_connected(project: NeonProject) -> None:
    root, address = main(project)
    with project.connected(root.id, "express-api"):
        (seen,) = eventually(lambda: [s for s in project.sql.client_sessions(address) if s.application])
        assert (seen.role, seen.application) == (ROLE, "express-api")
    assert eventually(lambda: project.sql.client_sessions(address) == ())


def test_a_wrong_password_is_refused_and_a_branch_that_is_being_restored_is_unreachable(project: NeonProject) -> None:
    root, address = main(project)
    lsn = project.sql.head(address).lsn
    with pytest.raises(SessionRefused):
        project.sql.head(SecretStr(address.get_secret_value().replace("@", "x@", 1)))
    project.fail_next("create_timeline")
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    with pytest.raises(Unreachable):
        project.sql.head(address)


def test_a_database_without_a_journal_is_told(project: NeonProject) -> None:
    assert project.sql.migrations(main(project)[1]) is None


def test_a_digest_is_made_of_the_columns_that_are_compared(project: NeonProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    project.write(root.id, 2)

    def digests(*columns: str) -> set[str]:
        found = project.sql.content(address, 10, {"public.written": columns})["public.written"].digests
        assert found is not None
        return set(found.values())

    assert len(digests("row")) == 2
    assert len(digests()) == 1
    with pytest.raises(QueryFailed):
        digests("no_such_column")


@pytest.mark.parametrize(("part", "other"), [(f"//{ROLE}:", "//nobody:"), ("/app", "/no_such_database")])
def test_an_address_that_is_wrong_in_any_part_reaches_nothing(project: NeonProject, part: str, other: str) -> None:
    _, address = main(project)
    wrong = other.join(address.get_secret_value().rsplit(part, 1))
    assert wrong != address.get_secret_value()
    with pytest.raises((Unreachable, SessionRefused)):
        project.sql.head(SecretStr(wrong))
