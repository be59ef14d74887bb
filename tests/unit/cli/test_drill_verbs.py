"""`rollback drill`, and drills in `rollback history` and `rollback status`, as an operator types them."""

import pytest
from simulations.drills import ALLOWED, start_database_drill_simulation, start_drill_simulation
from simulations.service import Simulation
from simulations.terminal import At
from support.builders import SERVICE

from rollback.domain.settings.drills import DrillSettings


def with_drills(simulation: Simulation, drills: DrillSettings) -> Simulation:
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"drills": drills}))
    return simulation


@pytest.mark.parametrize("scenario", ["service", "emergency"])
def test_a_drill_is_started_and_reported_with_its_recovery_time(terminal: At, scenario: str) -> None:
    type_ = terminal(start_drill_simulation())
    assert type_("drill", "production", "--scenario", scenario, "--direct") == 0
    assert "Recovery time: " in type_.said
    assert "a rollback would go to v1" in type_.said


def test_a_drill_of_the_database_asks_for_no_confirmation(terminal: At) -> None:
    type_ = terminal(start_database_drill_simulation())
    assert type_("drill", "production", "--scenario", "database", "--direct") == 0
    assert "the restore point was checked on a preview branch" in type_.said


def test_a_forbidden_drill_is_refused_in_one_line_before_anything_is_started(terminal: At) -> None:
    simulation = with_drills(start_drill_simulation(), DrillSettings())
    type_ = terminal(simulation)
    assert type_("drill", "production") == 2
    assert "no drill was started: drills.allow_production_drills is false" in type_.said.replace("\n", " ")
    assert list(simulation.ledger.history(SERVICE)) == []


def test_a_refused_drill_exits_with_3(terminal: At) -> None:
    simulation = start_drill_simulation()
    simulation.services.deployment_configuration = {
        **simulation.services.deployment_configuration,
        "minimumHealthyPercent": 0,
    }
    assert terminal(simulation)("drill", "production", "--direct") == 3


def test_the_history_marks_drills_and_lists_them_alone(terminal: At) -> None:
    simulation = start_drill_simulation()
    type_ = terminal(simulation)
    type_("start", "production", "--dry-run", "--direct")
    type_("drill", "production", "--direct")
    type_("history", "production")
    assert ("manual" in type_.said, "drill" in type_.said) == (True, True)
    type_("history", "production", "--drills")
    assert ("manual" in type_.said, "drill" in type_.said) == (False, True)


def test_the_status_shows_the_last_successful_drill_and_its_age(terminal: At) -> None:
    simulation = start_drill_simulation()
    type_ = terminal(simulation)
    type_("status", "production")
    assert "no drill has succeeded yet" in type_.said
    type_("drill", "production", "--direct")
    simulation.clock.pass_time(days=3)
    type_("status", "production")
    assert "service drill succeeded 2026-03-01 03:00 UTC, 3 days ago, recovery time" in type_.said


def test_without_drills_the_status_has_no_line_about_them(terminal: At) -> None:
    simulation = with_drills(start_drill_simulation(), ALLOWED.model_copy(update={"schedule": None}))
    type_ = terminal(simulation)
    type_("status", "production")
    assert "drill" not in type_.said
