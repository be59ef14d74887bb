"""A direct rollback tells what a stop leaves behind, and which reports have not arrived."""

import signal
from typing import Any

import pytest
from fakes.refusal import RefusesAll
from simulations.service import Simulation, start_simulation
from simulations.terminal import At
from support.builders import SERVICE

from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError
from rollback_cli import deployed_stack
from rollback_cli.direct import run
from rollback_cli.direct.follow import follow_directly
from rollback_cli.direct.terminal import Stopped

START = ("start", "production", "--direct")


def newest(simulation: Simulation) -> Rollback:
    rollback = next(simulation.ledger.history(SERVICE))
    assert isinstance(rollback, Rollback)
    return rollback


def stop_after_the_first_change(simulation: Simulation) -> None:
    """Let the operator stop the process once UpdateService was called."""
    update = simulation.services.update

    def update_and_stop(*arguments: Any, **options: Any) -> None:
        update(*arguments, **options)
        raise Stopped(signal.SIGINT)

    simulation.services.update = update_and_stop  # type: ignore[method-assign]


def test_a_stopped_run_says_how_the_rollback_stands_and_how_to_end_or_continue_it(terminal: At) -> None:
    simulation = start_simulation()
    stop_after_the_first_change(simulation)
    type_ = terminal(simulation)
    assert type_(*START) == 130
    rollback = newest(simulation)
    assert rollback.concluded_at is None
    assert "This process was stopped." in type_.said
    assert f"{rollback.id} (service, manual) holds the lease; the service is not fenced" in type_.said
    assert f"`rollback abort production {rollback.id} --reason '…'` concludes it" in type_.said
    assert "`rollback start production --service express-api --direct` continues it" in type_.said


def test_a_stopped_run_is_continued_by_the_next_one_after_its_lease(terminal: At) -> None:
    simulation = start_simulation()
    update = simulation.services.update
    stop_after_the_first_change(simulation)
    type_ = terminal(simulation)
    type_(*START)
    stopped = newest(simulation)
    simulation.services.update = update  # type: ignore[method-assign]
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes + 1)
    assert type_(*START) == 0
    assert newest(simulation).continues_rollback_id == stopped.id


def test_a_report_that_sns_does_not_take_is_printed_and_named_as_not_sent(terminal: At) -> None:
    simulation = start_simulation()
    simulation.replace(notifications=RefusesAll("sns"))
    type_ = terminal(simulation)
    assert type_(*START) == 0
    rollback = newest(simulation)
    assert not rollback.is_reported
    assert f"Rollback {rollback.id}: succeeded" in type_.said
    assert "The report was not sent: SNS did not take it, so nobody was notified or paged" in type_.said


def test_a_report_that_was_sent_is_not_named_as_not_sent(terminal: At) -> None:
    simulation = start_simulation()
    type_ = terminal(simulation)
    assert type_(*START) == 0
    assert "The report was not sent" not in type_.said


def test_channels_that_only_the_functions_serve_are_named_as_not_delivered_yet(terminal: At) -> None:
    simulation = start_simulation()
    simulation.replace(events=RefusesAll("events"))
    type_ = terminal(simulation)
    assert type_(*START) == 0
    assert "Not delivered yet: " in type_.said
    assert "events" in type_.said.partition("Not delivered yet: ")[2].partition(".")[0]


def test_a_step_that_fails_for_good_while_the_ledger_answers_offers_no_way_without_it(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = start_simulation()
    type_ = terminal(simulation)

    def fail(*_: object, **__: object) -> None:
        raise ExternalServiceError("ECS does not answer")

    monkeypatch.setattr(run, "run_directly", fail)
    assert type_(*START) == 1
    assert "ECS does not answer" in type_.said
    assert "--no-ledger" not in type_.said


def test_a_caller_that_prints_a_document_gets_progress_and_report_on_standard_error(
    terminal: At, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation = start_simulation()
    terminal(simulation)
    rollback = follow_directly({}, SERVICE, deployed_stack.find_deployment("production"), is_on_stderr=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"Rollback {rollback.id}: succeeded" in captured.err
