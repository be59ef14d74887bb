"""The command line of the levers, run as a person runs it, on a stage instead of AWS."""

import io
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import SERVICE, image
from fakes import FakeStacks
from simulation import PROMOTED, QUARANTINED, Simulation, start_simulation, start_simulation_at_zero
from terminal import At

from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.operations.pause_abort_unlock import abort, pause
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.workflow.route import Step
from rollback_cli import direct

WHY = ("--reason", "the database is being moved")


LEVERS = (
    ("pause", "production"),
    ("resume", "production"),
    ("abort", "production", "express-api-20260301T030000Z-00000000"),
    ("quarantine", "production", "v1"),
    ("unquarantine", "production", "v1"),
    ("unlock", "production"),
    ("unfence", "production"),
)


@pytest.mark.parametrize("words", LEVERS, ids=[words[0] for words in LEVERS])
def test_no_lever_moves_without_a_reason(terminal: At, words: tuple[str, ...]) -> None:
    type_ = terminal(start_simulation())
    assert type_(*words) == 2
    assert "--reason" in type_.said
    assert type_(*words, "--reason", " ") == 2
    assert "the reason is empty" in type_.said
    assert type_.verbs() == []


@pytest.mark.parametrize(
    "words", [words for words in LEVERS if words[0] != "abort"], ids=[w[0] for w in LEVERS if w[0] != "abort"]
)
def test_of_several_services_one_has_to_be_named(terminal: At, words: tuple[str, ...]) -> None:
    stage = start_simulation()
    only = stage.world.settings.services[0]
    both = (only, only.model_copy(update={"name": "worker"}))
    stage.world = replace(stage.world, settings=stage.world.settings.model_copy(update={"services": both}))
    type_ = terminal(stage)
    assert type_(*words, *WHY) == 2
    assert "add --service: express-api, worker; nothing was changed" in type_.said
    assert type_(*words, *WHY, "--service", "wroker") == 2
    assert "'wroker' is not one of express-api, worker" in type_.said
    assert type_.verbs() == []


def test_pause_and_resume(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("pause", "production", *WHY) == 0
    assert type_("pause", "production", *WHY) == 2
    assert "paused already, since 2026-03-01 03:00 UTC by ann@desk: the database is being moved" in type_.said
    assert type_("resume", "production", *WHY) == 0
    assert type_("resume", "production", *WHY) == 2
    assert type_.verbs() == ["pause", "resume"]  # of one moment


def test_abort_ends_concluded_with_the_lease_returned(terminal: At) -> None:
    stage = start_simulation()
    rollback = stage.run_due_step(stage.run_until(stage.admit(), Step.SERVICE))
    type_ = terminal(stage)
    assert type_("abort", "production", rollback.id, *WHY) == 0
    assert f"Rollback {rollback.id}: aborted" in type_.said
    assert "Why: aborted by ann@desk: the database is being moved" in type_.said
    assert "rollback pause production --service express-api" in type_.said
    assert stage.read(rollback).concluded_at is not None
    assert stage.ledger.lease(SERVICE) is None
    assert type_("abort", "production", rollback.id, *WHY) == 2
    assert "has ended already: aborted" in type_.said


def test_abort_while_fenced_says_what_is_left_and_unfence_puts_it_back(terminal: At) -> None:
    stage, rollback = start_simulation_at_zero()
    type_ = terminal(stage)
    assert type_("abort", "production", rollback.id, *WHY) == 1
    assert "NOT PUT BACK: fence (handed to operator): was {'desired_count': 2}" in type_.said
    stage.services.behaviours.clear()
    assert type_("unfence", "production", *WHY) == 1
    assert "put back: fence (was {'desired_count': 2}" in type_.said
    assert "NOT YET: scaling" in type_.said
    for _ in range(5):
        stage.pass_time(seconds=10)
    assert type_("unfence", "production", *WHY) == 0
    assert type_("unfence", "production", *WHY) == 2
    assert "nothing of express-api was handed to an operator" in type_.said


def test_quarantine_and_unquarantine(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("quarantine", "production", "v2", *WHY) == 0
    assert type_.stage.state_of("v2") is QUARANTINED
    assert type_("unquarantine", "production", "v2", *WHY) == 0
    assert type_("unquarantine", "production", "v2", *WHY) == 2
    assert type_("quarantine", "production", "v22", *WHY) == 2
    assert "did you mean 'v2'" in type_.said


def test_unlock_tells_the_state_of_the_data_before_it_is_forced(terminal: At) -> None:
    stage = start_simulation()
    rollback = stage.admit()
    type_ = terminal(stage)
    assert type_("unlock", "production", *WHY) == 2
    assert "the service is not fenced" in type_.said
    assert type_("unlock", "production", *WHY, "--force") == 0
    told, done = type_.said.index("the service is not fenced"), type_.said.index("is free")
    assert told < done
    assert stage.ledger.lease(SERVICE) is None
    assert type_("unlock", "production", *WHY) == 2
    assert rollback.id in str(stage.read(rollback))


def test_check_deploy_answers_with_its_exit_code_and_one_line(terminal: At) -> None:
    stage = start_simulation()
    stage.ship("v3", QUARANTINED)
    type_ = terminal(stage)
    assert type_("check-deploy", "production", "--image", image("v3")) == 1
    assert type_.said.count("\n") == 1
    assert type_("check-deploy", "production", "--image", image("v1")) == 0
    assert type_.said.count("\n") == 1
    assert type_("check-deploy", "production", "--image", "nginx:1") == 2
    assert type_("check-deploy", "production") == 2
    stage.admit()
    assert type_("check-deploy", "production", "--image", image("v1")) == 1
    assert "a rollback of express-api is going on" in type_.said


# Status


def test_status_of_a_quiet_service_is_short(terminal: At) -> None:
    stage = start_simulation()
    prepare_standing_plan(SERVICE, stage.world)
    type_ = terminal(stage)
    assert type_("status", "production") == 0
    lines = type_.said.splitlines()
    assert lines[1:4] == ["  runs       v2 (candidate)", "  tasks      2 of 2, rollout COMPLETED", "  back to    v1"]
    assert lines[4] == "  ready      yes, looked at 2026-03-01 03:00 UTC, 0 minutes ago"
    assert lines[-1] == "  rollback   none going on"
    assert len(lines) == 7


def test_status_says_what_stands_in_the_way(terminal: At) -> None:
    stage, rollback = start_simulation_at_zero()
    abort(rollback.id, Operator(name="ann@desk", reason="[enough]"), stage.world)
    direct.wait_until_concluded(rollback.id, stage.world, lambda seconds: stage.pass_time(seconds=seconds))
    pause(SERVICE, Operator(name="ann@desk", reason="the [database] is being moved"), stage.world)
    stage.images.missing.add(image("v1"))
    stage.services.container_insights = False
    prepare_standing_plan(SERVICE, stage.world)
    only = stage.world.settings.services[0].model_copy(update={"stack": "ServiceStack"})
    stack = StackView(name="ServiceStack", status="UPDATE_COMPLETE", definition_arns=("arn:x/task:9",))
    settings = stage.world.settings.model_copy(update={"services": (only,)})
    stage.world = replace(stage.world, settings=settings, stacks=FakeStacks(stack))
    stage.clock.pass_time(minutes=90)
    type_ = terminal(stage)
    assert type_("status", "production") == 0
    assert "drift      CloudFormation (stack ServiceStack) still records task:9" in type_.said
    assert "ready      no way back, looked at" in type_.said
    assert "90 minutes ago" in type_.said
    assert "fail image-exists: not in the registry" in type_.said
    assert "warn container-insights: off on macro-ai-production-cluster" in type_.said
    assert "paused     no automatic rollbacks since" in type_.said
    assert "by ann@desk: the [database] is being moved" in type_.said
    assert "left to you fence (was {'desired_count': 2}" in type_.said
    assert "rollback unfence production --service express-api" in type_.said
    assert f"abort {rollback.id}, ann@desk: [enough]" in type_.said


def test_a_stand_in_for_the_last_known_good_is_no_yes_and_no_alarm_in_red(terminal: At) -> None:
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=96)
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2")
    stage.images.missing.add(image("v1"))
    prepare_standing_plan(SERVICE, stage.world)
    type_ = terminal(stage)
    assert type_("status", "production") == 0
    assert "ready      not the last known good, but the next target, looked at" in type_.said
    assert "v0 is next" in type_.said


def test_no_way_back_is_said_in_red(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stage = Simulation()
    stage.ship("v1")
    type_ = terminal(stage)
    type_("status", "production")
    assert "\x1b[31mno way back: the standing plan was never computed" in type_.said


def test_the_only_good_release_that_runs_is_the_way_back_from_the_next_one(terminal: At) -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED)
    type_ = terminal(stage)
    type_("status", "production")
    assert "back to    nothing: what runs is the only good release" in type_.said


def test_status_names_the_last_three_actions_only(terminal: At) -> None:
    stage = start_simulation()
    type_ = terminal(stage)
    for number in range(4):
        type_("quarantine", "production", "v2", "--reason", f"reason {number}")
        stage.clock.pass_time(minutes=1)
    type_("status", "production")
    assert [f"reason {number}" in type_.said for number in range(4)] == [False, True, True, True]


def test_what_does_not_answer_costs_its_own_line_only(terminal: At) -> None:
    stage = start_simulation()

    def no_answer(names: tuple[str, ...]) -> dict[str, str]:
        raise ExternalServiceError("CloudWatch does not answer")

    stage.alarms.states = no_answer  # type: ignore[method-assign]
    type_ = terminal(stage)
    assert type_("status", "production") == 0
    assert "alarms     CloudWatch does not answer" in type_.said
    assert "rollback   none going on" in type_.said


# Start


def test_an_emergency_in_this_process_goes_straight_to_ecs(terminal: At) -> None:
    stage = start_simulation()
    prepare_standing_plan(SERVICE, stage.world)
    type_ = terminal(stage)
    assert type_("start", "production", "--type", "emergency", "--direct") == 0
    assert next(stage.ledger.history(SERVICE)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(("answer", "takes_over"), [("n\n", False), ("", False), ("y\n", True), (None, True)])
def test_by_force_over_another_rollback_a_person_is_told_and_asked(
    terminal: At, monkeypatch: pytest.MonkeyPatch, answer: str | None, takes_over: bool
) -> None:
    stage = start_simulation()
    first = stage.admit()
    type_ = terminal(stage)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer or ""))
    yes = ("--yes",) if answer is None else ()
    code = type_("start", "production", "--direct", "--force", "--target-version", "v1", *yes)
    assert f"{first.id} (service, alarm) holds the lease; the service is not fenced" in type_.said
    assert ("Take it over?" in type_.said) is (answer is not None)
    assert (code == 0) is takes_over
    assert len(list(stage.ledger.history(SERVICE))) == (2 if takes_over else 1)


def test_a_dry_run_by_force_asks_nothing_and_takes_nothing_over(terminal: At) -> None:
    stage = start_simulation()
    first = stage.admit()
    type_ = terminal(stage)
    assert type_("start", "production", "--direct", "--force", "--dry-run") == 0
    assert "dry run: v2 → v1" in type_.said
    held = stage.ledger.lease(SERVICE)
    assert held is not None
    assert held.holder == first.id


def test_force_on_a_free_service_asks_nothing(terminal: At) -> None:
    stage = start_simulation()
    now = stage.clock.now()
    stage.ledger.acquire(SERVICE, "long-gone", now - timedelta(hours=1), now)
    type_ = terminal(stage)
    assert type_("start", "production", "--direct", "--force") == 0
