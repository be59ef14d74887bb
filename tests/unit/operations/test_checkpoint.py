"""`rollback checkpoint`: the database's position before a pipeline migrates it, and the impact of the migrations."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from simulations.migrations import ADDS, BRANCH, DATABASE, DROPS, FIRST, MAIN, MigrationSimulation, users
from simulations.service import PROMOTED, Simulation
from simulations.terminal import At
from support.builders import NOW, SERVICE

from rollback.database.observation.observe import observe
from rollback.domain.database.migration_impact import Impact
from rollback.errors import ExternalServiceError
from rollback.operations import checkpoint as steps
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.database.errors import AccessRefused, Unreachable
from rollback.resources.database.migration_journal import Migration
from rollback_cli.verbs.releases.checkpoint import with_retry

CREATE_USERS = 'CREATE TABLE "users" ("id" text PRIMARY KEY NOT NULL, "name" text);'
DROP_NAME = 'ALTER TABLE "users" DROP COLUMN "name";'


def write_migrations(path: Path, *texts: str, downs: int = 0) -> Path:
    """Write a folder as drizzle-kit does; the last `downs` migrations have a down file."""
    (path / "meta").mkdir()
    entries = [{"idx": n, "when": n, "tag": f"{n:04}_it"} for n in range(1, len(texts) + 1)]
    (path / "meta" / "_journal.json").write_text(json.dumps({"dialect": "postgresql", "entries": entries}))
    for number, text in enumerate(texts, start=1):
        (path / f"{number:04}_it.sql").write_text(text)
        if number > len(texts) - downs:
            (path / f"{number:04}_it.down.sql").write_text("SELECT 1;")
    return path


def test_a_checkpoint_records_the_database_s_position_and_lists_new_migrations(terminal: At, tmp_path: Path) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    first = write_migrations(tmp_path, CREATE_USERS)
    assert type_("checkpoint", "production", "--version", "v1.1", "--migrations", str(first)) == 0
    (point,) = simulation.ledger.restore_points(BRANCH)
    assert (point.version, point.by, point.recorded_at) == ("v1.1", "checkpoint", NOW)
    assert point.shipped is not None
    simulation.apply_migrations(users("id", "name"), *point.shipped)
    simulation.neon.write(MAIN, 1)

    second = tmp_path / "second"
    second.mkdir()
    write_migrations(second, CREATE_USERS, DROP_NAME, downs=1)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(second)) == 0
    newest = next(p for p in simulation.ledger.restore_points(BRANCH) if p.version == "v2")
    assert newest.lsn > point.lsn
    assert [migration.impact.impact for migration in newest.shipped or ()] == [Impact.ADDITIVE, Impact.BREAKING]
    assert f"restore point before v2 of {SERVICE}: {newest.lsn}" in type_.said
    assert "migrations: 1 new, together breaking; 1 with a down file" in type_.said
    assert "0002_it  breaking: " in type_.said
    assert "0001_it" not in type_.said


def test_a_checkpoint_says_that_all_migrations_are_applied(terminal: At, tmp_path: Path) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    migrations = str(write_migrations(tmp_path, CREATE_USERS))
    type_("checkpoint", "production", "--version", "v1", "--migrations", migrations)
    simulation.apply_migrations(users("id", "name"), *(next(simulation.ledger.restore_points(BRANCH)).shipped or ()))
    simulation.pass_time(minutes=1)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", migrations) == 0
    assert "migrations: none is new, the database has all 1" in type_.said


def test_a_checkpoint_without_a_migrations_folder_is_recorded_and_names_the_missing_option(terminal: At) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == 0
    assert "migrations: not given (--migrations DIR)" in type_.said
    assert next(simulation.ledger.restore_points(BRANCH)).shipped is None


def test_a_database_without_a_journal_has_no_known_applied_migrations() -> None:
    simulation = MigrationSimulation()
    del simulation.sql.journals[MAIN]
    checkpoint = steps.checkpoint(SERVICE, "v2", (FIRST, DROPS), simulation.ports)
    assert checkpoint.new == (FIRST, DROPS)
    assert checkpoint.impact is not None
    assert checkpoint.impact.impact is Impact.BREAKING


def test_a_checkpoint_lists_journals_and_unfinished_migrations(terminal: At) -> None:
    simulation = MigrationSimulation()
    unfinished_migration = Migration(
        hash="", created_at=0, tool="prisma", table="public._prisma_migrations", id="20260101_it", state="failed"
    )
    simulation.sql.journals[MAIN] = (unfinished_migration,)
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == 0
    assert "journal: prisma, public._prisma_migrations: 1 rows, " in type_.said
    assert "attention: migration 20260101_it of prisma did not finish (public._prisma_migrations)" in type_.said


def test_migrations_of_another_tool_are_read_and_matched_with_the_journal_of_that_tool(
    terminal: At, tmp_path: Path
) -> None:
    for name, text in (("20260101_a", CREATE_USERS), ("20260102_b", DROP_NAME)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "migration.sql").write_text(text)
    simulation = MigrationSimulation()
    simulation.sql.journals[MAIN] = (Migration(hash="", created_at=0, tool="prisma", id="20260101_a"),)
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(tmp_path)) == 0
    assert "migrations: 1 new, together breaking" in type_.said
    assert "20260102_b  breaking: users.name: drop column" in type_.said


def with_failing_connection(simulation: MigrationSimulation, error: ExternalServiceError) -> MigrationSimulation:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    simulation.neon.connection_uri = refuse  # type: ignore[assignment]
    return simulation


def locked_simulation() -> MigrationSimulation:
    simulation = MigrationSimulation()
    simulation.ledger.acquire(BRANCH, "express-api-20260301T025900Z-00000000", NOW, NOW + timedelta(minutes=10))
    return simulation


def simulation_without_database() -> Simulation:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    return simulation


def simulation_with_pull_requests() -> MigrationSimulation:
    changes = {"branch_id": None, "branch_pattern": "preview/pr-{pr}"}
    return MigrationSimulation(settings=DATABASE.model_copy(update=changes))


@pytest.mark.parametrize(
    ("build_simulation", "code", "expected_text"),
    [
        (simulation_without_database, 2, "no database is set for production: add `database` to its settings"),
        (simulation_with_pull_requests, 2, "branches are those of pull requests, preview/pr-{pr}"),
        (locked_simulation, 1, "may be changing the database: wait until that rollback has ended"),
        (
            lambda: with_failing_connection(
                MigrationSimulation(), AccessRefused("401: check that the API key is this project's")
            ),
            1,
            "API key",
        ),
    ],
)
def test_a_refused_checkpoint_gives_the_reason_and_records_no_restore_point(
    terminal: At, build_simulation: object, code: int, expected_text: str
) -> None:
    assert callable(build_simulation)
    simulation = build_simulation()
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == code
    assert expected_text in type_.said
    assert list(simulation.ledger.restore_points(BRANCH)) == []


def test_a_folder_that_drizzle_kit_did_not_write_is_refused_before_any_call(terminal: At, tmp_path: Path) -> None:
    simulation = with_failing_connection(MigrationSimulation(), AccessRefused("never asked"))
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(tmp_path)) == 2
    assert "can't be read as drizzle-kit's journal" in type_.said


def test_a_checkpoint_waits_a_minute_for_a_suspended_database() -> None:
    simulation = MigrationSimulation()
    delays: list[float] = []
    simulation.sql.asleep = 3
    checkpoint = with_retry(lambda: steps.checkpoint(SERVICE, "v2", None, simulation.ports), delays.append)
    assert (checkpoint.point.version, delays) == ("v2", [5, 5, 5])
    simulation.sql.asleep = 100
    delays.clear()
    with pytest.raises(Unreachable):
        with_retry(lambda: steps.checkpoint(SERVICE, "v3", None, simulation.ports), delays.append)
    assert sum(delays) == 55
    assert [point.version for point in simulation.ledger.restore_points(BRANCH)] == ["v2"]


# Output for an operator


def test_status_shows_the_last_observation_the_last_point_and_the_target_s_compatibility(terminal: At) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    type_.in_terminal("status", "production")
    assert "  database         observed never\n  point            never\n" in type_.said
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id"), FIRST, DROPS)
    type_.in_terminal("status", "production", columns=200)
    (point, *_) = simulation.ledger.restore_points(BRANCH)
    assert f"  database         observed {simulation.observation().observed_at:%Y-%m-%d %H:%M} UTC" in type_.said
    assert f"  point            before v2, by deployment: {point.lsn}, " in type_.said
    assert (
        "  schema           breaking with v1: the target can't work with the live schema; column public.users"
        in type_.said
    )


def test_the_list_of_versions_shows_whether_the_schema_of_a_release_is_known(terminal: At) -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id", "name", "mail"), FIRST, ADDS)
    type_ = terminal(simulation)
    assert type_("versions", "production", "--output", "json") == 0
    (listed,) = json.loads(type_.output)["services"]
    assert {release["version"]: release["has_schema"] for release in listed["releases"]} == {"v1": True, "v2": False}
