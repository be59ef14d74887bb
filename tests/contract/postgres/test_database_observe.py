"""Observations of a database on the local Neon, with real Postgres, after a restore and after a migration."""

from collections.abc import Iterator

import pytest
from contract.neon_projects import LocalProject
from fakes.clock import FakeClock
from simulations.migrations import BEGAN, DATABASE, DROPS, FIRST, MigrationSimulation
from support.builders import SERVICE

from local_cloud.neon.cluster import DATABASE as NAME
from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.check import Verdict
from rollback.database.observation.observe import observe
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.preflight import preflight_of_restore
from rollback.database.preflight.timeline import CHECK_NAME, BranchHistory
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility
from rollback.operations.checkpoint import checkpoint
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.database.migration_journal import Migration

_RECORD = "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (%s, %s)"


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local = LocalProject(local_neon, Limits())
    yield local
    local.close()


def start_on_first_migration(project: LocalProject) -> tuple[MigrationSimulation, str]:
    """Run v1 on a table of users, with the first migration in Drizzle's journal; return the branch's id too."""
    root = project.databases.branch_named("main")
    assert root is not None
    here = {"project_id": project.id, "branch_id": root.id, "database": NAME, "role": ROLE}
    simulation = MigrationSimulation(settings=DATABASE.model_copy(update=here), clock=FakeClock(project.now()))
    simulation.replace(neon=project.databases, sql=project.sql)
    project.run(root.id, "CREATE SCHEMA drizzle")
    project.run(
        root.id,
        "CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)",
    )
    apply_migration(project, root.id, "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL)", FIRST)
    return simulation, root.id


def apply_migration(project: LocalProject, branch_id: str, statement: str, migration: ShippedMigration) -> None:
    project.run(branch_id, statement)
    project.run(branch_id, _RECORD, migration.hash, migration.created_at)


def test_a_restore_changes_the_timeline_and_earlier_points_are_refused_with_the_backups_name(
    project: LocalProject,
) -> None:
    """`SHOW neon.timeline_id` on Neon's computes: neondatabase/neon, `pgxn/neon/libpagestore.c`."""
    simulation, main = start_on_first_migration(project)
    point = checkpoint(SERVICE, "v2", (FIRST, DROPS), simulation.ports).point
    assert point.timeline is not None
    assert project.run(main, "SHOW neon.timeline_id") == [(point.timeline,)]
    assert observe(simulation.ports) is not None
    assert simulation.observation().timeline == point.timeline
    assert BranchHistory(timeline=simulation.observation().timeline).has(point)

    project.run(main, "CREATE TABLE written_after (id int)")
    project.databases.restore(main, main, point.lsn, "rollback-backup-by-hand")
    project.settle()
    assert project.run(main, "SELECT to_regclass('written_after')") == [(None,)]
    assert observe(simulation.ports) is not None
    assert simulation.observation().timeline not in (None, point.timeline)
    assert not BranchHistory(timeline=simulation.observation().timeline).has(point)
    backup = project.databases.branch_named("rollback-backup-by-hand")
    assert backup is not None
    with project._session(backup.id) as session:
        assert session.execute("SHOW neon.timeline_id").fetchall() == [(point.timeline,)]

    target = BranchSettings.of(simulation.ports.settings, main)
    context = BranchContext(settings=target, neon=project.databases, sql=project.sql)
    checks = preflight_of_restore(point.point, context, project.now())
    (check,) = (candidate for candidate in checks if candidate.name == CHECK_NAME)
    assert check.verdict is Verdict.FAIL
    assert "rollback-backup-by-hand" in check.reason
    after = checkpoint(SERVICE, "v3", (FIRST,), simulation.ports).point
    checks = preflight_of_restore(after.point, context, project.now())
    assert [candidate.verdict for candidate in checks if candidate.name == CHECK_NAME] == [Verdict.PASS]


def test_a_column_dropped_by_a_migration_is_reported_with_a_restorable_point(
    project: LocalProject,
) -> None:
    simulation, main = start_on_first_migration(project)
    prepare_standing_plan(SERVICE, simulation.ports)
    observation = observe(simulation.ports)
    assert observation is not None
    schema = simulation.ledger.schema(observation.schema_sha256)
    assert schema.journal == (Migration(hash=FIRST.hash, created_at=FIRST.created_at),)
    assert schema.recorded_schema is not None
    assert set(schema.recorded_schema.tables["public.users"]) == {"id", "name"}
    assert simulation.release("v1").schema_sha256 is not None

    created = checkpoint(SERVICE, "v2", (FIRST, DROPS), simulation.ports)
    assert created.new == (DROPS,)
    apply_migration(project, main, "ALTER TABLE users DROP COLUMN name", DROPS)
    simulation.clock.pass_time(seconds=(project.now() - simulation.clock.now()).total_seconds())
    simulation.start_versioned_deployment("v2")
    notes = simulation.deliver_event(BEGAN)
    assert notes[0].startswith("restore point before v2: ")
    verdict = simulation.target("v1").schema_verdict
    assert verdict is not None
    assert (verdict.compatibility, verdict.since) == (Compatibility.BREAKING, (DROPS.tag,))
    assert "column public.users.name is gone" in verdict.reason
    assert {check.verdict for check in simulation.observation().readiness} == {Verdict.PASS}
    began, earlier_point = simulation.ledger.restore_points(simulation.settings.branch_key(None))
    assert (began.by, earlier_point.by) == ("deployment", "checkpoint")
    assert began.lsn > earlier_point.lsn
    assert began.at > earlier_point.at
