"""Promises of the port to SQL on a branch, kept on the fakes and on real Postgres behind the local Neon."""

from collections.abc import Iterator

import pytest
from contract.local_cloud.workload import eventually
from contract.neon_projects import ContractProject, FakeProject, LocalProject
from pydantic import SecretStr

from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE
from rollback.resources.database.errors import QueryFailed, SessionRefused, Unreachable
from rollback.resources.database.neon import Branch
from rollback.resources.database.relation import RelationKind, RowQuery
from rollback.resources.database.row_comparison import compare_rows, differing_buckets


@pytest.fixture(params=["fake", "local"])
def project(request: pytest.FixtureRequest) -> Iterator[ContractProject]:
    if request.param == "fake":
        yield FakeProject(Limits())
        return
    local = LocalProject(request.getfixturevalue("local_neon"), Limits())
    yield local
    local.close()


def main(project: ContractProject) -> tuple[Branch, SecretStr]:
    found = project.databases.branch_named("main")
    assert found is not None
    return found, project.databases.connection_uri(found.id, "app", ROLE)


ASKED = RowQuery(
    database="app",
    schema_name="public",
    name="written",
    kind=RelationKind.TABLE,
    key=("row",),
    columns=("row",),
    seconds=5,
)


def test_a_head_is_a_point_to_restore_to_and_what_that_takes_is_told(project: ContractProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    head = project.sql.head(address)
    project.write(root.id, 2)
    assert project.sql.head(address).lsn > head.lsn
    before = project.sql.buckets(address, ASKED)
    rows = list(project.sql.rows(address, ASKED, tuple(before)))
    project.databases.restore(root.id, root.id, head.lsn, "backup")
    project.settle()
    after = project.sql.buckets(address, ASKED)
    differing = differing_buckets(before, after)
    assert (sum(bucket.rows for bucket in before.values()), project.sql.count(address, ASKED)) == (2, 1)
    assert compare_rows(rows, project.sql.rows(address, ASKED, tuple(after)), 5).gone_keys == ("[2]",)
    assert [row.key for row in project.sql.rows(address, ASKED, differing)] in ([], ["[1]"])


def test_rows_come_in_ascending_order_of_hash_and_key(project: ContractProject) -> None:
    root, address = main(project)
    for row in range(1, 9):
        project.write(root.id, row)
    rows = list(project.sql.rows(address, ASKED, tuple(range(16_384))))
    assert rows == sorted(rows)
    assert {row.key for row in rows} == {f"[{row}]" for row in range(1, 9)}


def test_the_databases_of_the_branch_and_what_holds_rows_are_told(project: ContractProject) -> None:
    _, address = main(project)
    assert [one.name for one in project.sql.databases(address)] == ["app"]
    (written,) = project.sql.relations(address, "app")
    assert (written.in_words, written.key, written.columns, written.why_not) == (
        "public.written", ("row",), ("row",), "",
    )  # fmt: skip


def test_a_client_is_seen_while_it_is_connected(project: ContractProject) -> None:
    root, address = main(project)
    with project.connected(root.id, "express-api"):
        (seen,) = eventually(lambda: [s for s in project.sql.client_sessions(address) if s.application])
        assert (seen.role, seen.application) == (ROLE, "express-api")
    assert eventually(lambda: project.sql.client_sessions(address) == ())


def test_a_wrong_password_is_refused_and_a_branch_that_is_being_restored_is_unreachable(
    project: ContractProject,
) -> None:
    root, address = main(project)
    lsn = project.sql.head(address).lsn
    with pytest.raises(SessionRefused):
        project.sql.head(SecretStr(address.get_secret_value().replace("@", "x@", 1)))
    project.fail_next("create_timeline")
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    with pytest.raises(Unreachable):
        project.sql.head(address)


def test_a_database_without_a_journal_is_told(project: ContractProject) -> None:
    assert project.sql.migrations(main(project)[1]) is None


def test_a_digest_is_made_of_the_columns_that_are_compared(project: ContractProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    project.write(root.id, 2)

    def digests(*columns: str) -> list[int]:
        asked = ASKED.model_copy(update={"columns": columns})
        return [row.digest for row in project.sql.rows(address, asked, tuple(range(16_384)))]

    assert digests("row") != digests()
    with pytest.raises(QueryFailed):
        digests("no_such_column")


@pytest.mark.parametrize(("part", "other"), [(f"//{ROLE}:", "//nobody:"), ("/app", "/no_such_database")])
def test_an_address_that_is_wrong_in_any_part_reaches_nothing(project: ContractProject, part: str, other: str) -> None:
    _, address = main(project)
    wrong = other.join(address.get_secret_value().rsplit(part, 1))
    assert wrong != address.get_secret_value()
    with pytest.raises((Unreachable, SessionRefused)):
        project.sql.head(SecretStr(wrong))
