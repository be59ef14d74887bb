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
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch, project.databases.connection_uri(branch.id, "app", ROLE)


ASKED = RowQuery(
    database="app",
    schema_name="public",
    name="written",
    kind=RelationKind.TABLE,
    key=("row",),
    columns=("row",),
    seconds=5,
)


def test_a_restore_to_a_head_loses_exactly_the_rows_that_the_comparison_names(project: ContractProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    head = project.sql.head(address)
    project.write(root.id, 2)
    assert project.sql.head(address).lsn > head.lsn
    original_buckets = project.sql.buckets(address, ASKED)
    rows = list(project.sql.rows(address, ASKED, tuple(original_buckets)))
    project.databases.restore(root.id, root.id, head.lsn, "backup")
    project.settle()
    after = project.sql.buckets(address, ASKED)
    differing = differing_buckets(original_buckets, after)
    assert (sum(bucket.rows for bucket in original_buckets.values()), project.sql.count(address, ASKED)) == (2, 1)
    assert compare_rows(rows, project.sql.rows(address, ASKED, tuple(after)), 5).gone_keys == ("[2]",)
    assert [row.key for row in project.sql.rows(address, ASKED, differing)] in ([], ["[1]"])


def test_rows_are_returned_in_ascending_order_of_hash_and_key(project: ContractProject) -> None:
    root, address = main(project)
    for row in range(1, 9):
        project.write(root.id, row)
    rows = list(project.sql.rows(address, ASKED, tuple(range(16_384))))
    assert rows == sorted(rows)
    assert {row.key for row in rows} == {f"[{row}]" for row in range(1, 9)}


def test_the_databases_and_tables_of_a_branch_are_listed(project: ContractProject) -> None:
    _, address = main(project)
    assert [database.name for database in project.sql.databases(address)] == ["app"]
    (written,) = project.sql.relations(address, "app")
    assert (written.in_words, written.key, written.columns, written.why_not) == (
        "public.written", ("row",), ("row",), "",
    )  # fmt: skip


def test_a_client_is_listed_while_it_is_connected(project: ContractProject) -> None:
    root, address = main(project)
    with project.connected(root.id, "express-api"):
        (client,) = eventually(lambda: [s for s in project.sql.client_sessions(address) if s.application])
        assert (client.role, client.application) == (ROLE, "express-api")
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


def test_a_database_without_a_journal_has_none(project: ContractProject) -> None:
    assert project.sql.migrations(main(project)[1]) is None


def test_a_digest_covers_the_compared_columns(project: ContractProject) -> None:
    root, address = main(project)
    project.write(root.id, 1)
    project.write(root.id, 2)

    def digests(*columns: str) -> list[int]:
        query = ASKED.model_copy(update={"columns": columns})
        return [row.digest for row in project.sql.rows(address, query, tuple(range(16_384)))]

    assert digests("row") != digests()
    with pytest.raises(QueryFailed):
        digests("no_such_column")


@pytest.mark.parametrize(("part", "other"), [(f"//{ROLE}:", "//nobody:"), ("/app", "/no_such_database")])
def test_a_wrong_address_is_refused_or_unreachable(project: ContractProject, part: str, other: str) -> None:
    _, address = main(project)
    wrong = other.join(address.get_secret_value().rsplit(part, 1))
    assert wrong != address.get_secret_value()
    with pytest.raises((Unreachable, SessionRefused)):
        project.sql.head(SecretStr(wrong))
