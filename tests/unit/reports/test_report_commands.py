"""What a page says to do next: real commands, and none that starts a release on data that it can't work with."""

import shlex
from datetime import timedelta
from typing import Any

import pytest
import typer
from builders import NOW, SERVICE, definition
from database_simulation import AFTER, BRANCH, DatabaseSimulation
from simulation import Simulation, start_simulation
from stand_ins import DenyingPort

from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.promotion.promote import promote, record_running
from rollback.reports.commands import next_commands
from rollback_cli.main import app

APPROVED = Policy(database_approval="none")
FULL = {"type": "full", "target_version": "v1"}
STARTS = ("--type emergency", "update-service")


def next_in(page: str) -> list[str]:
    """The commands under "Next", and those in the text."""
    return [line.strip() for line in page.splitlines() if line.lstrip().startswith("rollback ") and line[0] == " "]


def assert_all_are_real(page: str) -> None:
    group: Any = typer.main.get_command(app)
    assert next_in(page)
    for command in next_in(page):
        verb, *words = shlex.split(command)[1:]
        group.commands[verb].make_context(verb, words)  # parsed, not carried out


def refused(given: dict[str, object]) -> DatabaseSimulation:
    stage = DatabaseSimulation(APPROVED)
    stage.neon.restrict(BRANCH, "restore", "an import runs")
    assert stage.read(stage.run(given)).outcome is Outcome.REFUSED
    return stage


def failed_half_way() -> tuple[DatabaseSimulation, Rollback]:
    """The branch was overwritten, and what is on it is not what was looked at before."""
    stage = DatabaseSimulation(APPROVED)
    rollback = stage.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = stage.run_due_step(rollback)
    stage.sql.schemas[BRANCH] = AFTER
    rollback = stage.run_until(rollback)
    assert rollback.outcome is Outcome.FAILED
    return stage, rollback


def test_what_the_functions_may_not_do_is_offered_with_the_operators_own_credentials() -> None:
    stage = start_simulation()
    stage.replace(services=DenyingPort(stage.services, "update"))
    stage.run()
    (page,) = stage.pages()
    assert f"rollback start production --type emergency --service {SERVICE} --force --direct" in next_in(page)
    assert_all_are_real(page)


def test_a_release_that_can_not_work_with_the_schema_is_not_offered_to_be_started() -> None:
    stage = DatabaseSimulation(Policy())
    stage.run()
    (page,) = stage.pages()
    assert not any(start in page for start in STARTS)
    assert f"rollback start production --type full --service {SERVICE} --target-version v1 --force" in page
    assert page.count("can't go back alone") == 1, "a page is read at night: nothing is said twice"
    assert_all_are_real(page)


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (FULL, f"--type full --service {SERVICE} --target-version v1"),
        (
            {"type": "database", "to": "2026-03-01T02:40:00+00:00", "strategy": "restore"},
            f"--type database --service {SERVICE} --strategy restore --to 2026-03-01T02:40:00+00:00",
        ),
        (
            {"type": "database", "force": True, "reason": "rows are wrong"},
            f"--type database --service {SERVICE} --force --reason 'rows are wrong'",
        ),
    ],
)
def test_what_was_refused_is_offered_again_as_it_was_asked_for(given: dict[str, object], again: str) -> None:
    page = refused(given).pages()[-1]
    assert next_in(page)[-1] == f"rollback start production {again}"
    assert not any(start in page for start in STARTS)
    assert "Condition: v2 runs; the data is untouched" in page
    assert_all_are_real(page)


def test_what_wants_an_approval_is_offered_with_one() -> None:
    stage = DatabaseSimulation(Policy(on_incompatible_schema="full"))
    stage.run()
    page = stage.pages()[-1]
    assert next_in(page)[-1].endswith("--type full --service express-api --force --reason 'approved by …'")
    assert_all_are_real(page)


def test_overwritten_data_is_offered_back_before_anything_is_started() -> None:
    stage, rollback = failed_half_way()
    page = stage.pages()[-1]
    *_, undo, last = next_in(page)
    assert undo == f"rollback undo production {rollback.id}"
    assert last.startswith("rollback unfence production --service express-api")
    assert not any(start in page for start in STARTS)
    assert_all_are_real(page)


def test_what_is_about_to_be_put_back_is_not_called_left() -> None:
    """The page goes out first."""
    stage = DatabaseSimulation(APPROVED)
    rollback = stage.admit(FULL)
    while not rollback.is_fenced:
        rollback = stage.run_due_step(rollback)
    stage.neon.retention_seconds = 60
    stage.sql.schemas[BRANCH] = AFTER
    stage.run_until(rollback)
    page = stage.pages()[0]
    assert "Being put back: fence: was {'desired_count': 2}; another report follows if that can't be done" in page
    assert "NOT PUT BACK" not in page
    assert stage.services.desired_count == 2


def test_a_service_alone_may_still_be_started_in_an_emergency() -> None:
    stage = start_simulation()
    stage.healthy_versions.clear()
    assert stage.read(stage.run()).outcome is not Outcome.SUCCEEDED
    assert all(start in stage.pages()[-1] for start in STARTS)
    assert_all_are_real(stage.pages()[-1])


def test_the_last_resort_names_the_family_that_was_deployed_for_this_service() -> None:
    """The team's own family may be called as ours were: its name alone does not tell what we registered."""
    stage = Simulation()
    own, service = "web-rollback", stage.world.settings.services[0]
    for version, hours_ago in (("v1", 48), ("v2", 1)):
        stage.arns[version] = stage.services.register_release(definition(version), own)
        stage.services.run(stage.arns[version], created_at=NOW - timedelta(hours=hours_ago))
        record_running(SERVICE, stage.world)
    good = min(stage.ledger.releases(SERVICE), key=lambda one: one.first_deployed_at)
    promote(good, "by hand", stage.world)
    rollback = stage.run()
    family = f"{own}-last-known-good-production-{SERVICE}"
    assert rollback.service is not None
    assert f"/{family}:" in str(rollback.service.target_definition_arn)
    assert any(f"--task-definition {family} " in command for command in next_commands(rollback, service))
