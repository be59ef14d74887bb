"""The verbs of `rollback`, typed as an operator types them, against a simulation instead of AWS."""

import io
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes.aws.cloudformation import FakeStacks
from simulations.service import PROMOTED, QUARANTINED, Simulation, start_simulation, start_simulation_at_zero
from simulations.terminal import At
from support.builders import SERVICE, image

from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.operations.pause_abort_unlock import abort, pause
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.workflow.route import Step
from rollback_cli.direct import conclude

REASON = ("--reason", "the database is being moved")


OPERATOR_VERBS = (
    ("pause", "production"),
    ("resume", "production"),
    ("abort", "production", "express-api-20260301T030000Z-00000000"),
    ("quarantine", "production", "v1"),
    ("unquarantine", "production", "v1"),
    ("unlock", "production"),
    ("unfence", "production"),
)
VERBS_WITH_SERVICE = tuple(words for words in OPERATOR_VERBS if words[0] != "abort")


@pytest.mark.parametrize("words", OPERATOR_VERBS, ids=[words[0] for words in OPERATOR_VERBS])
def test_an_operators_verb_needs_a_reason(terminal: At, words: tuple[str, ...]) -> None:
    type_ = terminal(start_simulation())
    assert type_(*words) == 2
    assert "--reason" in type_.said
    assert type_(*words, "--reason", " ") == 2
    assert "the reason is empty" in type_.said
    assert type_.verbs() == []


@pytest.mark.parametrize("words", VERBS_WITH_SERVICE, ids=[words[0] for words in VERBS_WITH_SERVICE])
def test_an_operators_verb_names_the_service_if_there_are_several(terminal: At, words: tuple[str, ...]) -> None:
    simulation = start_simulation()
    service_settings = simulation.service_settings
    services = (service_settings, service_settings.model_copy(update={"name": "worker"}))
    simulation.ports = replace(
        simulation.ports, settings=simulation.ports.settings.model_copy(update={"services": services})
    )
    type_ = terminal(simulation)
    assert type_(*words, *REASON) == 2
    assert (
        "this environment has several services; nothing was changed\nnext: add --service: express-api, worker"
        in type_.said
    )
    assert type_(*words, *REASON, "--service", "wroker") == 2
    assert "'wroker' is not one of express-api, worker" in type_.said
    assert type_.verbs() == []


def test_a_second_pause_is_refused_and_so_is_a_second_resume(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("pause", "production", *REASON) == 0
    assert type_("pause", "production", *REASON) == 2
    assert "paused already, since 2026-03-01 03:00 UTC by ann@desk: the database is being moved" in type_.said
    assert type_("resume", "production", *REASON) == 0
    assert type_("resume", "production", *REASON) == 2
    assert type_.verbs() == ["pause", "resume"]  # both at one moment of the clock


def test_an_aborted_rollback_is_concluded_and_its_lease_is_returned(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.run_due_step(simulation.run_until(simulation.admit(), Step.SERVICE))
    type_ = terminal(simulation)
    assert type_("abort", "production", rollback.id, *REASON) == 0
    assert f"Rollback {rollback.id}: aborted" in type_.said
    assert "Why: aborted by ann@desk: the database is being moved" in type_.said
    assert "rollback pause production --service express-api" in type_.said
    assert simulation.read(rollback).concluded_at is not None
    assert simulation.ledger.lease(SERVICE) is None
    assert type_("abort", "production", rollback.id, *REASON) == 2
    assert "has ended already: aborted" in type_.said


def test_an_abort_while_fenced_reports_open_obligations_and_unfence_discharges_them(terminal: At) -> None:
    simulation, rollback = start_simulation_at_zero()
    type_ = terminal(simulation)
    assert type_("abort", "production", rollback.id, *REASON) == 1
    assert "NOT RESTORED: desired count of express-api, recorded value 2. Next: rollback unfence" in type_.said
    simulation.services.behaviours.clear()
    assert type_("unfence", "production", *REASON) == 1
    assert "restored: fence (was {'desired_count': 2}" in type_.said
    assert "not restored yet: scaling" in type_.said
    for _ in range(5):
        simulation.pass_time(seconds=10)
    assert type_("unfence", "production", *REASON) == 0
    assert type_("unfence", "production", *REASON) == 2
    assert "no setting of express-api was left to an operator" in type_.said


def test_a_release_is_quarantined_and_unquarantined_by_its_version(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("quarantine", "production", "v2", *REASON) == 0
    assert type_.simulation.state_of("v2") is QUARANTINED
    assert type_("unquarantine", "production", "v2", *REASON) == 0
    assert type_("unquarantine", "production", "v2", *REASON) == 2
    assert type_("quarantine", "production", "v22", *REASON) == 2
    assert "did you mean 'v2'" in type_.said


def test_a_forced_unlock_first_reports_the_state_of_the_data(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    type_ = terminal(simulation)
    assert type_("unlock", "production", *REASON) == 2
    assert "the service is not fenced" in type_.said
    assert type_("unlock", "production", *REASON, "--force") == 0
    assert type_.said.index("the service is not fenced") < type_.said.index("is free")
    assert simulation.ledger.lease(SERVICE) is None
    assert type_("unlock", "production", *REASON) == 2
    assert rollback.id in str(simulation.read(rollback))


def test_check_deploy_answers_with_an_exit_code_and_one_line(terminal: At) -> None:
    simulation = start_simulation()
    simulation.ship("v3", QUARANTINED)
    type_ = terminal(simulation)
    assert type_("check-deploy", "production", "--image", image("v3")) == 1
    assert type_.said.count("\n") == 1
    assert type_("check-deploy", "production", "--image", image("v1")) == 0
    assert type_.said.count("\n") == 1
    assert type_("check-deploy", "production", "--image", "nginx:1") == 2
    assert type_("check-deploy", "production") == 2
    simulation.admit()
    assert type_("check-deploy", "production", "--image", image("v1")) == 1
    assert "a rollback of express-api is in progress" in type_.said


# Status


def test_the_status_of_a_quiet_service_has_seven_lines(terminal: At) -> None:
    simulation = start_simulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    type_ = terminal(simulation)
    assert type_.in_terminal("status", "production", columns=200) == 0
    lines = type_.said.splitlines()
    assert lines[1:4] == [
        "  runs             v2 (candidate)",
        "  tasks            2 of 2, rollout COMPLETED",
        "  target           v1",
    ]
    assert lines[4] == "  ready            yes, checked at 2026-03-01 03:00 UTC, 0 minutes ago"
    assert lines[-1] == "  rollback         none in progress"
    assert len(lines) == 7


def test_the_status_lists_every_obstacle_to_a_rollback(terminal: At) -> None:
    simulation, rollback = start_simulation_at_zero()
    abort(rollback.id, Operator(name="ann@desk", reason="[enough]"), simulation.ports)
    conclude.wait_until_concluded(rollback.id, simulation.ports, lambda seconds: simulation.pass_time(seconds=seconds))
    pause(SERVICE, Operator(name="ann@desk", reason="the [database] is being moved"), simulation.ports)
    simulation.images.missing.add(image("v1"))
    simulation.services.container_insights = False
    prepare_standing_plan(SERVICE, simulation.ports)
    service_settings = simulation.service_settings.model_copy(update={"stack": "ServiceStack"})
    stack = StackView(name="ServiceStack", status="UPDATE_COMPLETE", definition_arns=("arn:x/task:9",))
    settings = simulation.ports.settings.model_copy(update={"services": (service_settings,)})
    simulation.ports = replace(simulation.ports, settings=settings, stacks=FakeStacks(stack))
    simulation.clock.pass_time(minutes=90)
    type_ = terminal(simulation)
    assert type_.in_terminal("status", "production", columns=200) == 0
    assert "drift            CloudFormation (stack ServiceStack) still records task:9, but " in type_.said
    assert "rollback status production --output json" in type_.said
    assert "ready            no rollback target is ready, checked at" in type_.said
    assert "90 minutes ago" in type_.said
    assert "fail image-exists: not in the registry" in type_.said
    assert "warn container-insights-is-on: Container Insights is off on macro-ai-production-cluster" in type_.said
    assert "paused           no automatic rollbacks since" in type_.said
    assert "by ann@desk: the [database] is being moved" in type_.said
    assert "to restore       fence (was {'desired_count': 2}" in type_.said
    assert "rollback unfence production --service express-api" in type_.said
    assert f"abort {rollback.id}, ann@desk: [enough]" in type_.said


def test_the_status_names_another_ready_target_when_the_last_known_good_is_not_ready(terminal: At) -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.images.missing.add(image("v1"))
    prepare_standing_plan(SERVICE, simulation.ports)
    type_ = terminal(simulation)
    assert type_.in_terminal("status", "production", columns=200) == 0
    assert "ready            the next target is ready, the last known good is not, checked at" in type_.said
    assert "a rollback would take v0" in type_.said


def test_the_status_shows_a_missing_rollback_target_in_red(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    simulation = Simulation()
    simulation.ship("v1")
    type_ = terminal(simulation)
    type_.in_terminal("status", "production", columns=200)
    assert "\x1b[31mno rollback target: the standing plan was never computed" in type_.said


def test_the_status_says_that_the_only_promoted_release_is_the_target_of_the_next_release(terminal: At) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    type_ = terminal(simulation)
    type_.in_terminal("status", "production", columns=200)
    assert (
        "target           none yet: v1 is the only promoted release. The next release can be rolled back to it"
        in type_.said
    )


def test_the_status_lists_the_last_three_actions_only(terminal: At) -> None:
    simulation = start_simulation()
    type_ = terminal(simulation)
    for number in range(4):
        type_("quarantine", "production", "v2", "--reason", f"reason {number}")
        simulation.clock.pass_time(minutes=1)
    type_.in_terminal("status", "production", columns=200)
    assert [f"reason {number}" in type_.said for number in range(4)] == [False, True, True, True]


def test_an_aws_service_that_does_not_answer_affects_only_its_own_line_of_the_status(terminal: At) -> None:
    simulation = start_simulation()

    def no_answer(names: tuple[str, ...]) -> dict[str, str]:
        raise ExternalServiceError("CloudWatch does not answer")

    simulation.alarms.states = no_answer  # type: ignore[method-assign]
    type_ = terminal(simulation)
    assert type_.in_terminal("status", "production", columns=200) == 0
    assert "alarms           CloudWatch does not answer" in type_.said
    assert "rollback         none in progress" in type_.said


# Start


def test_an_emergency_in_direct_mode_succeeds(terminal: At) -> None:
    simulation = start_simulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    type_ = terminal(simulation)
    assert type_("start", "production", "--type", "emergency", "--direct") == 0
    assert next(simulation.ledger.history(SERVICE)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(("answer", "takes_over"), [("n\n", False), ("", False), ("y\n", True), (None, True)])
def test_a_forced_start_reports_the_rollback_in_progress_and_asks_for_confirmation(
    terminal: At, monkeypatch: pytest.MonkeyPatch, answer: str | None, takes_over: bool
) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    type_ = terminal(simulation)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer or ""))
    yes = ("--yes",) if answer is None else ()
    code = type_("start", "production", "--direct", "--force", "--target-version", "v1", *yes)
    assert f"{rollback.id} (service, alarm) holds the lease; the service is not fenced" in type_.said
    assert ("Take over the rollback in progress?" in type_.said) is (answer is not None)
    assert (code == 0) is takes_over
    assert len(list(simulation.ledger.history(SERVICE))) == (2 if takes_over else 1)


def test_a_forced_dry_run_asks_for_no_confirmation_and_takes_over_no_rollback(terminal: At) -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    type_ = terminal(simulation)
    assert type_("start", "production", "--direct", "--force", "--dry-run") == 0
    assert "dry run: v2 → v1" in type_.said
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == rollback.id


def test_a_forced_start_on_a_free_service_asks_for_no_confirmation(terminal: At) -> None:
    simulation = start_simulation()
    now = simulation.clock.now()
    simulation.ledger.acquire(SERVICE, "long-gone", now - timedelta(hours=1), now)
    type_ = terminal(simulation)
    assert type_("start", "production", "--direct", "--force") == 0
