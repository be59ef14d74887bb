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

MADE = 'CREATE TABLE "users" ("id" text PRIMARY KEY NOT NULL, "name" text);'
DROPPED = 'ALTER TABLE "users" DROP COLUMN "name";'


def folder(path: Path, *texts: str, downs: int = 0) -> Path:
    """A folder as drizzle-kit writes it; the last `downs` migrations have a down file."""
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
    first = folder(tmp_path, MADE)
    assert type_("checkpoint", "production", "--version", "v1.1", "--migrations", str(first)) == 0
    (point,) = simulation.ledger.restore_points(BRANCH)
    assert (point.version, point.by, point.recorded_at) == ("v1.1", "checkpoint", NOW)
    assert point.shipped is not None
    simulation.apply_migrations(users("id", "name"), *point.shipped)
    simulation.neon.write(MAIN, 1)

    second = tmp_path / "second"
    second.mkdir()
    folder(second, MADE, DROPPED, downs=1)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(second)) == 0
    newest = next(p for p in simulation.ledger.restore_points(BRANCH) if p.version == "v2")
    assert newest.lsn > point.lsn
    assert [one.impact.impact for one in newest.shipped or ()] == [Impact.ADDITIVE, Impact.BREAKING]
    assert f"restore point before v2 of {SERVICE}: {newest.lsn}" in type_.said
    assert "migrations: 1 new, together breaking; 1 with a down file" in type_.said
    assert "0002_it  breaking: " in type_.said
    assert "0001_it" not in type_.said


def test_a_checkpoint_says_that_all_migrations_are_applied(terminal: At, tmp_path: Path) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    shipped = str(folder(tmp_path, MADE))
    type_("checkpoint", "production", "--version", "v1", "--migrations", shipped)
    simulation.apply_migrations(users("id", "name"), *(next(simulation.ledger.restore_points(BRANCH)).shipped or ()))
    simulation.pass_time(minutes=1)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", shipped) == 0
    assert "migrations: none is new, the database has all 1" in type_.said


def test_a_checkpoint_without_migrations_folder_is_recorded_and_says_so(terminal: At) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == 0
    assert "migrations: not given (--migrations DIR)" in type_.said
    assert next(simulation.ledger.restore_points(BRANCH)).shipped is None


def test_a_database_without_a_journal_has_no_known_applied_migrations() -> None:
    simulation = MigrationSimulation()
    del simulation.sql.journals[MAIN]
    made = steps.checkpoint(SERVICE, "v2", (FIRST, DROPS), simulation.ports)
    assert made.new == (FIRST, DROPS)
    assert made.impact is not None
    assert made.impact.impact is Impact.BREAKING


def test_a_checkpoint_lists_journals_and_unfinished_migrations(terminal: At) -> None:
    simulation = MigrationSimulation()
    begun = Migration(
        hash="", created_at=0, tool="prisma", table="public._prisma_migrations", id="20260101_it", state="failed"
    )
    simulation.sql.journals[MAIN] = (begun,)
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == 0
    assert "journal: prisma, public._prisma_migrations: 1 rows, " in type_.said
    assert "attention: migration 20260101_it of prisma did not finish (public._prisma_migrations)" in type_.said


def test_migrations_of_another_tool_are_read_and_found_in_its_journal(terminal: At, tmp_path: Path) -> None:
    for name, text in (("20260101_a", MADE), ("20260102_b", DROPPED)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "migration.sql").write_text(text)
    simulation = MigrationSimulation()
    simulation.sql.journals[MAIN] = (Migration(hash="", created_at=0, tool="prisma", id="20260101_a"),)
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(tmp_path)) == 0
    assert "migrations: 1 new, together breaking" in type_.said
    assert "20260102_b  breaking: users.name: drop column" in type_.said


def failing(simulation: MigrationSimulation, error: ExternalServiceError) -> MigrationSimulation:
    def refused(*given: object, **named: object) -> None:
        raise error

    simulation.neon.connection_uri = refused  # type: ignore[assignment]
    return simulation


def locked() -> MigrationSimulation:
    simulation = MigrationSimulation()
    simulation.ledger.acquire(BRANCH, "express-api-20260301T025900Z-00000000", NOW, NOW + timedelta(minutes=10))
    return simulation


def without_database() -> Simulation:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    return simulation


def of_pull_requests() -> MigrationSimulation:
    given = {"branch_id": None, "branch_pattern": "preview/pr-{pr}"}
    return MigrationSimulation(settings=DATABASE.model_copy(update=given))


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (without_database, 2, "no database is set for production: add `database` to its settings"),
        (of_pull_requests, 2, "branches are those of pull requests, preview/pr-{pr}"),
        (locked, 1, "may be changing the database: wait until that rollback has ended"),
        (
            lambda: failing(MigrationSimulation(), AccessRefused("401: check that the API key is this project's")),
            1,
            "API key",
        ),
    ],
)
def test_a_checkpoint_that_is_not_possible_says_why_and_records_nothing(
    terminal: At, make: object, code: int, said: str
) -> None:
    assert callable(make)
    simulation = make()
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2") == code
    assert said in type_.said
    assert list(simulation.ledger.restore_points(BRANCH)) == []


def test_a_folder_that_drizzle_kit_did_not_write_is_refused_before_any_call(terminal: At, tmp_path: Path) -> None:
    simulation = failing(MigrationSimulation(), AccessRefused("never asked"))
    type_ = terminal(simulation)
    assert type_("checkpoint", "production", "--version", "v2", "--migrations", str(tmp_path)) == 2
    assert "can't be read as drizzle-kit's journal" in type_.said


def test_a_checkpoint_waits_a_minute_for_a_suspended_database() -> None:
    simulation = MigrationSimulation()
    slept: list[float] = []
    simulation.sql.asleep = 3
    made = with_retry(lambda: steps.checkpoint(SERVICE, "v2", None, simulation.ports), slept.append)
    assert (made.point.version, slept) == ("v2", [5, 5, 5])
    simulation.sql.asleep = 100
    slept.clear()
    with pytest.raises(Unreachable):
        with_retry(lambda: steps.checkpoint(SERVICE, "v3", None, simulation.ports), slept.append)
    assert sum(slept) == 55
    assert [point.version for point in simulation.ledger.restore_points(BRANCH)] == ["v2"]


# Output for an operator


def test_status_shows_the_last_observation_the_last_point_and_the_target_s_compatibility(terminal: At) -> None:
    simulation = MigrationSimulation()
    type_ = terminal(simulation)
    type_("status", "production")
    assert "  database         observed never\n  point            never\n" in type_.said
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id"), FIRST, DROPS)
    type_("status", "production")
    (point, *_) = simulation.ledger.restore_points(BRANCH)
    assert f"  database         observed {simulation.observation().observed_at:%Y-%m-%d %H:%M} UTC" in type_.said
    assert f"  point            before v2, by deployment: {point.lsn}, " in type_.said
    assert (
        "  schema           breaking with v1: the target can't work with the live schema; column public.users"
        in type_.said
    )


def test_versions_show_of_which_release_the_schema_is_known(terminal: At) -> None:
    simulation = MigrationSimulation()
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id", "name", "mail"), FIRST, ADDS)
    type_ = terminal(simulation)
    assert type_("versions", "production") == 0
    rows = {line.split("│")[2].strip(): line for line in type_.said.splitlines() if line.count("│") > 5}
    assert ("known" in rows["v1"], "known" in rows["v2"]) == (True, False)
