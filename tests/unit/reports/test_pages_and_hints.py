"""Pages about refusals, the list of checks, and the hint after a rollback by an operator."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.service import CANDIDATE, PROMOTED, QUARANTINED, SUSPECT, Simulation, alarm_event, start_simulation
from simulations.terminal import At
from support.builders import NOW, SERVICE, rollback

from rollback.check import Check, Verdict
from rollback.conclusion.release_state import mark_previous_release
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import Request
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.planned_changes import format_checks
from rollback.reports.report import message
from rollback_cli import requester

TO_QUARANTINED = {"target_version": "v1"}


def simulation_with_quarantined_target() -> Simulation:
    simulation = Simulation()
    simulation.ship("v1", QUARANTINED, 48)
    simulation.ship("v2", CANDIDATE)
    return simulation


def report_of(ended: Rollback, simulation: Simulation) -> str:
    return message(ended, simulation.service_settings)


@pytest.mark.parametrize(
    ("given", "pages"),
    [
        ({}, 1),
        ({"is_attended": False}, 1),
        ({"requested_by": "github-actions"}, 1),
        ({"is_attended": True}, 0),
        ({"dry_run": True}, 0),
        ({"type": "emergency", "is_attended": True}, 0),
        ({"type": "emergency"}, 1),
    ],
)
def test_a_refusal_pages_unless_a_person_reads_it_at_a_terminal_or_asked_for_the_plan_only(
    given: dict[str, Any], pages: int
) -> None:
    simulation = simulation_with_quarantined_target()
    ended = simulation.run({**TO_QUARANTINED, **given})
    assert ended.outcome is Outcome.REFUSED
    assert len(simulation.pages()) == pages
    assert len(simulation.notifications.sent) == 1


def test_a_refusal_that_is_read_at_a_terminal_still_names_the_next_commands() -> None:
    simulation = simulation_with_quarantined_target()
    ended = simulation.run({**TO_QUARANTINED, "is_attended": True})
    assert f"rollback show production {ended.id}" in report_of(ended, simulation)


def test_a_failed_rollback_pages_although_a_person_waits_at_the_terminal() -> None:
    simulation = start_simulation(healthy_versions=set())
    for arn in simulation.arns.values():
        simulation.services.behaviours[arn] = "crashing"
    ended = simulation.run({"is_attended": True})
    assert ended.outcome is Outcome.FAILED
    assert simulation.pages()


def test_a_refused_alarm_pages_as_before() -> None:
    simulation = simulation_with_quarantined_target()
    ended = simulation.run(alarm_event())
    assert ended.outcome is Outcome.REFUSED
    assert len(simulation.pages()) == 1


def test_a_stored_request_without_a_waiting_person_has_no_new_field() -> None:
    assert "is_attended" not in Request(service=SERVICE).model_dump_json()
    assert Request.model_validate_json(Request(service=SERVICE, is_attended=True).model_dump_json()).is_attended


@pytest.mark.parametrize("is_at_terminal", [True, False])
def test_the_command_line_says_whether_a_person_waits(
    terminal: At, monkeypatch: pytest.MonkeyPatch, is_at_terminal: bool
) -> None:
    simulation = simulation_with_quarantined_target()
    monkeypatch.setattr(requester, "is_at_terminal", lambda: is_at_terminal)
    assert terminal(simulation)("start", "production", "--target-version", "v1", "--direct") != 0
    [ended] = simulation.ledger.history(SERVICE)
    assert ended.request.is_attended is is_at_terminal
    assert len(simulation.pages()) == (0 if is_at_terminal else 1)


def test_a_dry_run_prints_its_changes_and_leaves_with_0(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("start", "production", "--dry-run", "--direct") == 0
    words = " ".join(type_.said.split())
    assert "Changes of this plan" in words
    assert "~ container api: image:" in words
    assert "pass target-is-identified:" in words


def test_a_check_that_is_made_for_several_services_is_named_once() -> None:
    checks = (
        Check.passed("nothing-starts-tasks", "api is not scaled by forecast"),
        Check.warned("image-exists", "the registry did not answer"),
        Check.failed("nothing-starts-tasks", "worker is scaled by forecast"),
        Check.failed("nothing-starts-tasks", "worker is scaled by forecast"),
    )
    lines = list(format_checks(checks, "", Verdict))
    assert [" ".join(line.split()) for line in lines] == [
        "pass nothing-starts-tasks: api is not scaled by forecast",
        "fail worker is scaled by forecast",
        "warn image-exists: the registry did not answer",
    ]
    failed_lines = list(format_checks(checks, "worker is scaled by forecast; more", (Verdict.FAIL,)))
    assert failed_lines == ["  fail    nothing-starts-tasks: see Why"]


@pytest.mark.parametrize("state", [PROMOTED, CANDIDATE])
def test_an_operator_who_left_a_promoted_release_is_told_how_to_quarantine_it(state: ReleaseState) -> None:
    simulation = start_simulation()
    if state is PROMOTED:
        simulation.ledger.set_release_state(simulation_release(simulation, "v2"), PROMOTED, NOW, "baked")
    ended = simulation.run({"reason": "slow"})
    assert ended.outcome is Outcome.SUCCEEDED
    hint = f"rollback quarantine production v2 --service {SERVICE} --reason '…'"
    assert (hint in report_of(ended, simulation)) is (state is PROMOTED)
    assert simulation.state_of("v2") is (PROMOTED if state is PROMOTED else QUARANTINED)


def test_an_automatic_rollback_needs_no_hint_since_it_quarantines_the_release_itself() -> None:
    simulation = start_simulation()
    simulation.ledger.set_release_state(simulation_release(simulation, "v2"), PROMOTED, NOW, "baked")
    ended = simulation.run(alarm_event())
    assert ended.outcome is Outcome.SUCCEEDED
    assert "rollback quarantine" not in report_of(ended, simulation)
    assert simulation.state_of("v2") is QUARANTINED


@pytest.mark.parametrize(("seconds_after_the_trigger", "state"), [(-60, PROMOTED), (60, SUSPECT)])
def test_a_failed_rollback_discounts_a_promotion_that_came_after_its_trigger(
    seconds_after_the_trigger: int, state: ReleaseState
) -> None:
    simulation = start_simulation()
    at = NOW + timedelta(seconds=seconds_after_the_trigger)
    simulation.ledger.set_release_state(simulation_release(simulation, "v2"), PROMOTED, at, "by an operator")
    admitted = simulation.admit(alarm_event(at=NOW))
    acted = simulation.read(admitted)
    while not acted.has_moved_service:
        acted = simulation.run_due_step(acted)
    failed = acted.evolve(outcome=Outcome.FAILED, reason="the target did not start")
    mark_previous_release(failed, simulation.clock.now(), simulation.ports)
    assert simulation.state_of("v2") is state


def simulation_release(simulation: Simulation, version: str) -> Any:
    return next(r for r in simulation.ledger.releases(SERVICE) if r.version == version)


def test_a_rollback_without_a_plan_gives_no_hint() -> None:
    simulation = start_simulation()
    assert "quarantine" not in report_of(rollback(outcome=Outcome.SUPPRESSED), simulation)
