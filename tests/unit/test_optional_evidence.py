"""Evidence that can be done without never keeps a rollback from going on: who does not answer is named instead."""

from dataclasses import replace
from typing import Any

import pytest
from builders import SERVICE, image
from fakes import FakeScaling
from stage import CANDIDATE, PROMOTED, Stage, alarm_event, worn_in
from stage_with_database import StageWithDatabase
from stand_ins import Counting, Down, Refusing, denied
from worlds import OUTAGE

from rollback.adapters.patience import until_silent
from rollback.check import Verdict
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, OutsideFailure, Throttled
from rollback.ports.world import OptionalPorts
from rollback.promotion.readiness import prepare
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow.route import Step

OPTIONAL = ("targets", "scaling", "stacks", "images", "alarms", "workflow", "secrets", "references", "http")


def with_stack(stage: Stage, status: str = "UPDATE_COMPLETE") -> Stage:
    service = stage.world.settings.services[0].model_copy(update={"stack": "S"})
    stage.replace(settings=stage.world.settings.model_copy(update={"services": (service,)}))
    stage.stacks.stack = StackView(name="S", status=status)
    return stage


def deployed_at(stage: Stage) -> float:
    """Minutes from now to the first update, of a rollback that is walked to Verify."""
    began = stage.clock.now()
    stage.go(stage.admit(alarm_event(at=began)), Step.VERIFY)
    return (stage.clock.now() - began).total_seconds() / 60


# An emergency


@pytest.mark.parametrize("port", OPTIONAL)
def test_an_emergency_comes_to_update_service_without(port: str) -> None:
    stage = with_stack(worn_in())
    prepare(SERVICE, stage.world)
    stage.replace(**{port: Down(port)})
    stage.admit(stage.red(OUTAGE))
    assert stage.changes() == ["update"]
    assert stage.running() == image("v1")


def test_an_emergency_asks_its_quick_ports_and_nobody_else() -> None:
    stage = worn_in()
    prepare(SERVICE, stage.world)
    names = ("targets", "scaling", "stacks", "secrets", "references", "images", "alarms", "workflow")
    patient: dict[str, Any] = {name: Counting(getattr(stage.world, name)) for name in names}
    quick: dict[str, Any] = {name: Counting(getattr(stage.world, name)) for name in names}
    stage.replace(**patient, quick=lambda: OptionalPorts(**quick))
    stage.admit(stage.red(OUTAGE))
    assert quick["alarms"].called
    assert {name: counting.called for name, counting in patient.items() if counting.called} == {}


def test_a_plain_rollback_is_as_patient_as_ever() -> None:
    stage = worn_in()
    stage.replace(quick=lambda: pytest.fail("an emergency's ports"))
    assert stage.run().outcome is Outcome.SUCCEEDED


def test_who_gave_no_answer_is_not_asked_again_in_the_same_invocation() -> None:
    silent = Counting(Down("alarms"))
    alarms = until_silent(silent)
    for _ in range(3):
        with pytest.raises(OutsideFailure, match="no answer"):
            alarms.states(("a",))
    assert silent.called == ["states"]


@pytest.mark.parametrize("answer", [Throttled("slowly"), CallRefused("no")])
def test_throttling_and_refusals_are_answers_and_say_nothing_about_the_next_call(answer: OutsideFailure) -> None:
    class Answers:
        def look(self, name: str) -> str:
            if name == "first":
                raise answer
            return name

    port = until_silent(Answers())
    with pytest.raises(type(answer)):
        port.look("first")
    assert port.look("second") == "second"


def test_a_look_ahead_of_need_has_ports_of_its_own_too() -> None:
    stage = worn_in()
    names = ("targets", "scaling", "stacks", "secrets", "references", "images", "alarms", "workflow")
    patient: dict[str, Any] = {name: Counting(getattr(stage.world, name)) for name in names}
    ahead: dict[str, Any] = {name: Counting(getattr(stage.world, name)) for name in names}
    stage.replace(**patient, ahead=lambda: OptionalPorts(**ahead))
    prepare(SERVICE, stage.world)
    assert ahead["images"].called
    assert {name: counting.called for name, counting in patient.items() if counting.called} == {}


@pytest.mark.parametrize("port", ["targets", "scaling", "secrets", "references", "images"])
def test_a_standing_plan_is_made_though_a_service_is_silent(port: str) -> None:
    stage = worn_in()
    stage.replace(**{port: Down(port)})
    assert [target.release.version for target in prepare(SERVICE, stage.world).targets] == ["v1"]


# CloudFormation


def throttled(stage: Stage) -> Stage:
    """CloudFormation does not answer any more."""
    with_stack(stage).replace(stacks=Down("stacks"))
    return stage


def test_a_stack_that_could_not_be_asked_about_is_a_warning_in_the_plan() -> None:
    stage = throttled(worn_in())
    rollback = stage.go(stage.admit(), Step.SERVICE)
    check = stage.check(rollback, "stack-is-quiet")
    assert check.verdict is Verdict.WARN
    assert "could not be asked" in check.reason


def test_rule_6_without_an_answer_no_update_is_sent_beside_cloudformation_until_it_would_be_stuck() -> None:
    stage = throttled(worn_in(policy=Policy(stuck_minutes=2)))
    rollback = stage.go(stage.admit(), Step.SERVICE)
    began = stage.clock.now()
    while not stage.changes():
        rollback = stage.take(rollback)
    waited = (stage.clock.now() - began).total_seconds() / 60
    assert 2 <= waited < 3
    assert rollback.service is not None
    assert any("without knowing whether CloudFormation" in note for note in rollback.service.notes)
    assert stage.run_on(rollback).outcome is Outcome.SUCCEEDED


def test_rule_6_without_an_answer_a_deployment_in_flight_is_stopped_all_the_same() -> None:
    stage = Stage()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.begin("v2")
    throttled(stage)
    stage.go(stage.admit(), Step.VERIFY)
    assert stage.changes() == ["stop_deployment"]


def test_where_cloudformation_refuses_to_tell_a_rollback_does_not_wait_for_an_answer() -> None:
    stage = with_stack(worn_in())
    stage.replace(stacks=Refusing(stage.stacks, "look", refused=denied("look")))
    began = stage.clock.now()
    rollback = stage.go(stage.admit(), Step.SERVICE)
    while not stage.changes():
        rollback = stage.take(rollback)
    assert (stage.clock.now() - began).total_seconds() < 60


@pytest.mark.parametrize(
    "status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"]
)
def test_a_stack_that_only_removes_old_resources_is_not_waited_for(status: str) -> None:
    stage = with_stack(worn_in(), status)
    assert deployed_at(stage) < 3
    assert stage.running() == image("v1")


# The plan


def test_a_registry_that_does_not_answer_is_a_warning_in_the_plan() -> None:
    stage = worn_in()
    stage.replace(images=replace_exists(stage))
    done = stage.run()
    assert done.outcome is Outcome.SUCCEEDED
    assert stage.check(done, "image-exists").reason.startswith("could not be asked")


def replace_exists(stage: Stage) -> Any:
    return Refusing(stage.images, "exists", refused=CallRefused("ECR: no"))


# Before a fence


def by_forecast(stage: Stage) -> None:
    target = ScalableTarget(min_capacity=2, max_capacity=4, suspended=dict.fromkeys(SCALING_FLAGS, False))
    scaling = FakeScaling(stage.services, target)
    scaling.predictive = ("by-forecast",)
    stage.replace(scaling=scaling)


def test_a_fence_that_scaling_by_forecast_could_break_is_not_put_up() -> None:
    """No flag of SuspendedState suspends it: it could start writers while the branch is restored."""
    stage = StageWithDatabase()
    by_forecast(stage)
    done = stage.read(stage.run())
    assert done.outcome is Outcome.REFUSED
    assert "by-forecast" in done.reason
    assert stage.changes() == []
    assert stage.neon.calls == []


def test_a_rollback_of_the_service_alone_does_not_mind_scaling_by_forecast() -> None:
    stage = worn_in()
    by_forecast(stage)
    assert stage.run().outcome is Outcome.SUCCEEDED


def test_scaling_that_can_not_be_asked_before_a_fence_is_a_warning() -> None:
    stage = StageWithDatabase()
    stage.replace(scaling=Refusing(stage.scaling, "predictive_policies", refused=denied("predictive_policies")))
    done = stage.read(stage.run())
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.check(done, "nothing-starts-tasks").verdict is Verdict.WARN


def test_the_state_of_a_release_is_no_optional_evidence() -> None:
    """So that the tests above can't pass by skipping everything."""
    stage = Stage()
    stage.ship("v1", CANDIDATE, hours_ago=48)
    stage.ship("v2")
    assert stage.run().outcome is Outcome.REFUSED
    assert replace(stage.world).ledger is stage.world.ledger
