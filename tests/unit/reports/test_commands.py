"""Commands of a page: all exist, and none starts a release on incompatible data."""

import shlex
from datetime import timedelta
from typing import Any

import pytest
import typer
from simulations.database import AFTER, BRANCH, DatabaseSimulation
from simulations.service import Simulation, start_simulation
from support.builders import NOW, SERVICE, definition
from support.stand_ins import DenyingPort

from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.promotion.promote import promote, record_running
from rollback.reports.commands import next_commands
from rollback_cli.main import app

APPROVED = Policy()
FULL = {"type": "full", "target_version": "v1"}
STARTS = ("--type emergency", "update-service")


def commands_in(page: str) -> list[str]:
    """List the commands under "Next" and in the text."""
    return [line.strip() for line in page.splitlines() if line.lstrip().startswith("rollback ") and line[0] == " "]


def assert_all_are_real(page: str) -> None:
    group: Any = typer.main.get_command(app)
    assert commands_in(page)
    for command in commands_in(page):
        verb, *words = shlex.split(command)[1:]
        group.commands[verb].make_context(verb, words)  # parses without running


def refused_rollback(execution_input: dict[str, object]) -> DatabaseSimulation:
    simulation = DatabaseSimulation(APPROVED)
    simulation.neon.restrict(BRANCH, "restore", "an import runs")
    assert simulation.read(simulation.run(execution_input)).outcome is Outcome.REFUSED
    return simulation


def rollback_that_failed_half_way() -> tuple[DatabaseSimulation, Rollback]:
    """Overwrite the branch with tables that differ from those of the preview."""
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    simulation.sql.schemas[BRANCH] = AFTER
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.FAILED
    return simulation, rollback


def test_the_page_about_a_denied_call_offers_the_command_with_the_operators_credentials() -> None:
    simulation = start_simulation()
    simulation.replace(services=DenyingPort(simulation.services, "update"))
    simulation.run()
    (page,) = simulation.pages()
    assert f"rollback start production --type emergency --service {SERVICE} --force --direct" in commands_in(page)
    assert_all_are_real(page)


def test_a_page_never_offers_to_start_a_release_that_can_not_work_with_the_schema() -> None:
    simulation = DatabaseSimulation(Policy())
    simulation.run()
    (page,) = simulation.pages()
    assert not any(start in page for start in STARTS)
    assert f"rollback start production --type full --service {SERVICE} --target-version v1\n" in page
    assert page.count("without its database") == 1, "a page says nothing twice"
    assert_all_are_real(page)


@pytest.mark.parametrize(
    ("execution_input", "command"),
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
def test_the_page_about_a_refused_request_offers_a_command_with_the_same_options(
    execution_input: dict[str, object], command: str
) -> None:
    page = refused_rollback(execution_input).pages()[-1]
    assert commands_in(page)[-1] == f"rollback start production {command}"
    assert not any(start in page for start in STARTS)
    assert "Condition: v2 runs; the data is untouched" in page
    assert_all_are_real(page)


def test_a_page_about_overwritten_data_offers_the_undo_and_no_start() -> None:
    simulation, rollback = rollback_that_failed_half_way()
    page = simulation.pages()[-1]
    *_, undo, last_command = commands_in(page)
    assert undo == f"rollback undo production {rollback.id}"
    assert last_command.startswith("rollback unfence production --service express-api")
    assert not any(start in page for start in STARTS)
    assert_all_are_real(page)


def test_an_obligation_that_conclude_still_discharges_is_not_reported_as_open() -> None:
    """The page goes out before Conclude discharges the obligation."""
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.admit(FULL)
    while not rollback.is_fenced:
        rollback = simulation.run_due_step(rollback)
    simulation.neon.retention_seconds = 60
    simulation.sql.schemas[BRANCH] = AFTER
    simulation.run_until(rollback)
    page = simulation.pages()[0]
    line = f"To restore: desired count of {SERVICE}, recorded value 2; another report follows if that fails"
    assert line in page
    assert "NOT RESTORED" not in page
    assert simulation.services.desired_count == 2


def test_a_page_about_a_service_alone_offers_the_emergency_start() -> None:
    simulation = start_simulation()
    simulation.healthy_versions.clear()
    assert simulation.read(simulation.run()).outcome is not Outcome.SUCCEEDED
    assert all(start in simulation.pages()[-1] for start in STARTS)
    assert_all_are_real(simulation.pages()[-1])


def test_the_last_command_names_the_family_that_was_deployed_for_this_service() -> None:
    """The team's own family may look like one of ours: the name alone does not show who registered the definition."""
    simulation = Simulation()
    deployed_family, service = "web-rollback", simulation.service_settings
    for version, hours_ago in (("v1", 48), ("v2", 1)):
        simulation.arns[version] = simulation.services.register_release(definition(version), deployed_family)
        simulation.services.run(simulation.arns[version], created_at=NOW - timedelta(hours=hours_ago))
        record_running(SERVICE, simulation.ports)
    good = min(simulation.ledger.releases(SERVICE), key=lambda one: one.first_deployed_at)
    promote(good, "by hand", simulation.ports)
    rollback = simulation.run()
    family = f"{deployed_family}-last-known-good-production-{SERVICE}"
    assert rollback.service is not None
    assert f"/{family}:" in str(rollback.service.target_definition_arn)
    assert any(f"--task-definition {family} " in command for command in next_commands(rollback, service))
