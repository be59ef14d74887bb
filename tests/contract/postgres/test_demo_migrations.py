"""The demo's migrations, applied to real Postgres as Drizzle applies them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from contract.neon_projects import LocalProject

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.domain.database.migration_impact import Impact
from rollback_cli.demo.database.migrations import apply, check_out
from rollback_cli.demo.database.seed import seed_statements
from rollback_cli.demo.pipeline import Pipeline
from rollback_cli.demo.scenarios import SCENARIOS
from rollback_cli.local_environment.shipping import count_applied, statements
from rollback_cli.migrations.tools.drizzle import read_drizzle

USERS, DROP = "0000_users", "0001_drop_email"
READS_EMAIL = str(SCENARIOS["bad-migration"].good_behaviour["reads"])


class Branch:
    """The project's `main`."""

    def __init__(self, project: LocalProject) -> None:
        branch = project.databases.branch_named("main")
        assert branch is not None
        self._project, self._id, self.uri = project, branch.id, project.uri(branch.id)

    def run(self, statement: str) -> list[tuple[object, ...]]:
        return self._project.run(self._id, statement)

    def journal(self) -> list[tuple[str, int]]:
        rows = self._project.sql.migrations(self._project.databases.connection_uri(self._id, "app", "app_owner"))
        return [(row.hash, row.created_at) for row in rows or ()]


@pytest.fixture
def branch(local_neon: LocalNeon) -> Iterator[Branch]:
    project = LocalProject(local_neon, Limits())
    yield Branch(project)
    project.close()


def test_a_release_applies_only_its_new_migrations(branch: Branch, tmp_path: Path) -> None:
    first, second = check_out(tmp_path / "v1", 1), check_out(tmp_path / "v2", 2)
    assert apply(branch.uri, first) == (USERS,)
    assert apply(branch.uri, first) == ()
    assert len(branch.run(READS_EMAIL)) == 3
    assert apply(branch.uri, second) == (DROP,)
    assert branch.journal() == [(migration.hash, migration.created_at) for migration in read_drizzle(second)]


def test_the_good_release_can_not_run_on_the_schema_of_the_bad_release(branch: Branch, tmp_path: Path) -> None:
    good, bad = SCENARIOS["bad-migration"].good_behaviour, SCENARIOS["bad-migration"].bad_behaviour
    with psycopg.connect(branch.uri) as session:
        session.execute(seed_statements(10).encode())
    apply(branch.uri, check_out(tmp_path / "v1", 1))
    for statement in (good["reads"], f"{good['writes']} RETURNING id"):
        branch.run(statement)
    apply(branch.uri, check_out(tmp_path / "v2", 2))
    for statement in (good["reads"], good["writes"]):
        with pytest.raises(psycopg.errors.UndefinedColumn):
            branch.run(statement)
    assert branch.run(bad["reads"])
    with psycopg.connect(branch.uri) as session:
        session.execute(bad["writes"].encode())


def test_a_failed_migration_changes_nothing(branch: Branch, tmp_path: Path) -> None:
    apply(branch.uri, check_out(tmp_path / "v1", 1))
    original_journal = branch.journal()
    second = check_out(tmp_path / "v2", 2)
    (second / f"{DROP}.sql").write_text('ALTER TABLE "users" DROP COLUMN "email";--> statement-breakpoint\nSELECT 1/0;')
    with pytest.raises(psycopg.errors.DivisionByZero):
        apply(branch.uri, second)
    assert branch.journal() == original_journal
    assert branch.run(READS_EMAIL)


def test_the_classifiers_call_the_second_migration_breaking_and_the_first_not(tmp_path: Path) -> None:
    users, drop = read_drizzle(check_out(tmp_path / "v2", 2))
    assert (users.impact.impact, drop.impact.impact) == (Impact.ADDITIVE, Impact.BREAKING)


def test_a_local_release_fits_the_migrations_that_the_database_has(branch: Branch, tmp_path: Path) -> None:
    pipeline = cast("Pipeline", SimpleNamespace(connection_uri=lambda: branch.uri))
    counts = [count_applied(pipeline)]
    for migrations in (1, 2):
        apply(branch.uri, check_out(tmp_path / f"v{migrations}", migrations))
        counts.append(count_applied(pipeline))
        with psycopg.connect(branch.uri) as session:
            for statement in statements(migrations, f"v{migrations}").values():
                session.execute(statement.encode())
    assert counts == [0, 1, 2]
    for statement in statements(1, "v1").values():
        with pytest.raises(psycopg.errors.UndefinedColumn):
            branch.run(statement)
