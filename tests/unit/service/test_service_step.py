from dataclasses import replace
from typing import Any

import pytest
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import FakeServices
from simulations.service import (
    AUTOSCALED,
    CANDIDATE,
    PROMOTED,
    QUARANTINED,
    Simulation,
    deployment_event,
    start_simulation,
    start_simulation_at_zero,
)
from support.builders import SERVICE, image

from rollback.domain.database.progress import OriginalBranch, RecreateProgress
from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.resources.aws.ecs_service import ScalableTarget
from rollback.service.reconciler import service
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step


def planned(stage: Simulation, given: object = None) -> Rollback:
    return stage.run_until(stage.admit(given), Step.SERVICE)


def test_a_completed_bad_release_is_left_by_one_update_to_the_target_by_digest() -> None:
    stage = start_simulation()
    done = stage.run_until(planned(stage), Step.VERIFY)
    assert stage.changes() == ["update"]
    assert stage.running() == image("v1")
    assert done.service is not None
    assert done.service.moves == ("update_service", "wait_for_target")


def test_a_bad_deployment_in_flight_from_the_target_is_stopped_and_nothing_else_is_deployed() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.begin_deployment("v2")
    rollback = planned(stage)
    stage.run_until(rollback, Step.VERIFY)
    assert stage.changes() == ["stop_deployment"]
    assert stage.running() == image("v1")


def test_a_bad_deployment_in_flight_from_another_bad_release_is_overridden_not_stopped() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2", QUARANTINED, hours_ago=1)
    stage.begin_deployment("v3")
    stage.run_until(planned(stage), Step.VERIFY)
    assert stage.changes() == ["update"]
    assert stage.running() == image("v1")


def test_rule_6_a_service_rollback_adopts_ecs_own_rollback_to_its_target_without_a_call() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.begin_deployment("v2", "crashing")
    for _ in range(3):
        stage.services.tick()
    done = stage.run_until(planned(stage, deployment_event()), Step.VERIFY)
    assert done.plan is not None
    assert done.plan.running.version == image("v2").rpartition(":")[2][:12]
    assert stage.changes() == []
    assert stage.running() == image("v1")


def test_rule_6_a_service_rollback_deploys_after_ecs_own_rollback_to_a_quarantined_release_ends() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2", QUARANTINED, hours_ago=1)
    stage.begin_deployment("v3", "crashing")
    for _ in range(3):
        stage.services.tick()
    stage.services.behaviours[stage.arns["v2"]] = "unhealthy"  # ECS's own rollback takes a while then
    rollback = planned(stage)
    first = stage.run_due_step(rollback)
    assert first.service is not None
    assert first.service.moves == ("wait_for_ecs",)
    assert stage.changes() == []
    stage.services.behaviours.pop(stage.arns["v2"])
    done = stage.run_until(rollback, Step.VERIFY)
    assert done.service is not None
    assert done.service.moves == ("wait_for_ecs", "update_service", "wait_for_target")
    assert stage.running() == image("v1")


def test_a_deployment_newer_than_the_intent_is_stopped_by_its_own_arn() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.begin_deployment("v2")
    rollback = planned(stage)
    rollback = stage.ledger.save(service(rollback, stage.world))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    stage.services.run(stage.arns["v1"])
    stage.begin_deployment("v3")
    stage.run_until(rollback, Step.VERIFY)
    assert stage.changes() == ["stop_deployment"]
    assert stage.running() == image("v1")


@pytest.mark.parametrize(("recorded", "now", "wanted"), [(4, 1, 4), (2, 6, 6), (3, 3, 3)])
def test_the_desired_count_is_the_larger_of_the_recorded_and_the_current_one(
    recorded: int, now: int, wanted: int
) -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48, desired_count=recorded)
    stage.ship("v2", desired_count=now)
    stage.run()
    assert stage.services.desired_count == wanted
    assert all(given.get("desired_count", wanted) >= now for _, given in stage.services.calls)


def test_capacity_that_autoscaling_added_between_intent_and_act_is_kept() -> None:
    stage = start_simulation()
    rollback = stage.ledger.save(service(planned(stage), stage.world))
    stage.services.desired_count = 9
    stage.run_due_step(rollback)
    assert stage.services.desired_count == 9


def test_an_adopted_target_below_its_recorded_count_is_raised() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48, desired_count=4)
    stage.begin_deployment("v2")
    stage.services.desired_count = 1
    done = stage.run_until(planned(stage), Step.VERIFY)
    assert stage.services.desired_count == 4
    assert done.service is not None
    assert "raise_capacity" in done.service.moves


def test_rule_5_rollback_by_ecs_is_off_while_we_deploy_and_put_back_exactly_once_completed() -> None:
    stage = start_simulation()
    stage.services.deployment_configuration["alarms"] = {"enable": True, "rollback": True, "alarmNames": ["a"]}
    before = dict(stage.services.deployment_configuration)
    rollback = planned(stage)
    stage.run_due_step(rollback)
    during = stage.services.deployment_configuration
    assert during["deploymentCircuitBreaker"] == {"enable": True, "rollback": False}
    assert during["alarms"] == {"enable": True, "rollback": False, "alarmNames": ["a"]}
    done = stage.run_until(rollback)
    assert stage.services.deployment_configuration == before
    parts = {part: before[part] for part in ("deploymentCircuitBreaker", "alarms")}
    put_back = [given for _, given in stage.services.calls if given.get("deployment_configuration") == parts]
    assert len(put_back) == 1
    (owed,) = done.obligations
    assert (owed.kind, owed.before) == (ObligationKind.DEPLOYMENT_CONFIGURATION, parts)
    assert owed.discharged_at is not None


def test_rule_5_a_configuration_that_is_quiet_already_is_left_alone() -> None:
    stage = start_simulation()
    stage.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": False}
    done = stage.run()
    assert done.outcome is Outcome.SUCCEEDED
    assert done.obligations == ()
    assert not any("deployment_configuration" in given for _, given in stage.services.calls)


def test_rule_9_the_obligation_is_written_before_the_configuration_is_changed() -> None:
    stage = start_simulation()
    intended = service(planned(stage), stage.world)
    assert stage.changes() == []
    assert intended.service is not None
    assert intended.service.intent is not None
    breaker = stage.services.deployment_configuration["deploymentCircuitBreaker"]
    assert [o.before for o in intended.open_obligations()] == [{"deploymentCircuitBreaker": breaker}]


def test_a_target_that_does_not_settle_in_time_fails_pages_and_leaves_a_suspect() -> None:
    stage = start_simulation()
    rollback = planned(stage)
    stage.run_due_step(rollback)
    stage.services.behaviours[stage.services.describe(stage.world.settings.services[0]).primary.definition_arn] = (
        "unhealthy"
    )
    done = stage.run_until(rollback)
    assert done.outcome is Outcome.FAILED
    assert "every escalation level was tried" in done.reason
    assert done.service is not None
    assert [t.escalation_level for t in done.service.attempts] == [
        "service",
        "emergency",
    ]  # v2 still serves, so the service never goes to zero
    assert "did not settle in 15 minutes" in done.service.attempts[0].escalation_reason
    assert stage.severities() == ["page", "page"]  # the failure, then the configuration that could not be restored
    assert stage.state_of("v2") == "suspect"


def take_over(stage: Simulation) -> None:
    """Let another rollback take the lease once it ran out."""
    stage.clock.pass_time(minutes=stage.policy.lease_minutes + 1)
    assert stage.ledger.acquire(SERVICE, "another", stage.clock.now(), stage.clock.now().replace(hour=23)) is not None


def test_rule_9_a_lease_lost_in_the_middle_aborts_without_another_call() -> None:
    stage = start_simulation()
    rollback = planned(stage)
    stage.run_due_step(rollback)
    before = len(stage.services.calls)
    take_over(stage)
    done = stage.run_until(rollback)
    assert done.outcome is Outcome.ABORTED
    assert len(stage.services.calls) == before
    assert done.obligations[0].handed_to == "operator"  # the holder's document does not have it
    lease = stage.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == "another"


def test_rule_9_no_call_is_made_if_the_lease_is_lost_between_intent_and_act() -> None:
    stage = start_simulation()
    stage.ledger.save(service(planned(stage), stage.world))
    take_over(stage)
    done = stage.run_until(next(stage.ledger.history(SERVICE)))
    assert done.outcome is Outcome.ABORTED
    assert stage.changes() == []


class SlowServices:
    """Observe for so long that the lease would run out before a change has ended."""

    def __init__(self, stage: Simulation, minutes: float) -> None:
        self._stage, self._real, self._minutes = stage, stage.services, minutes

    def __getattr__(self, name: str) -> Any:
        if name == "describe":
            self._stage.clock.pass_time(minutes=self._minutes)
        return getattr(self._real, name)


def test_rule_9_no_intent_is_written_and_nothing_is_called_under_a_lease_that_ends_too_soon() -> None:
    stage = start_simulation()
    rollback = planned(stage)
    stage.replace(services=SlowServices(stage, stage.policy.lease_minutes - 0.5))
    done = stage.run_until(rollback, Step.CONCLUDE)
    assert done.outcome is Outcome.ABORTED
    assert stage.changes() == []


def test_rule_9_the_lease_is_read_again_before_the_act() -> None:
    """Call the step directly: `run_step` would renew the lease that ends too soon."""
    stage = start_simulation()
    rollback = stage.ledger.save(service(planned(stage), stage.world))
    stage.clock.pass_time(minutes=stage.policy.lease_minutes - 0.5)
    with pytest.raises(Exception, match="no longer holds the lease"):
        service(rollback, stage.world)
    assert stage.changes() == []


class LosesTheAnswer(FakeServices):
    """Lose the answer of a successful UpdateService."""

    lost = 0

    def update(self, *given: Any, **named: Any) -> None:
        super().update(*given, **named)
        if self.lost == 0:
            self.lost += 1
            raise ExternalServiceError("UpdateService: no answer")


def test_a_deployment_whose_answer_was_lost_is_found_and_not_made_twice() -> None:
    stage = start_simulation()
    losing = LosesTheAnswer(stage.clock, stage.images)
    losing.__dict__.update(stage.services.__dict__)
    stage.services = losing
    stage.world = replace(stage.world, services=losing)
    rollback = planned(stage)
    with pytest.raises(ExternalServiceError):
        run_step(rollback.id, Step.SERVICE, stage.world)
    done = stage.run_until(rollback)
    assert done.outcome is Outcome.SUCCEEDED
    assert len([given for _, given in losing.calls if "definition_arn" in given]) == 1


def test_a_forced_rollback_deploys_a_quarantined_release() -> None:
    stage = Simulation()
    stage.ship("v1", QUARANTINED, hours_ago=48)
    stage.ship("v2", CANDIDATE)
    assert stage.run({"target_version": "v1"}).outcome is Outcome.REFUSED
    assert stage.changes() == []
    done = stage.run({"target_version": "v1", "force": True}, "execution-2")
    assert done.outcome is Outcome.SUCCEEDED
    assert stage.running() == image("v1")
    assert stage.state_of("v1") == CANDIDATE  # an operator chose it, and it was verified, so it may bake again


def test_the_running_release_is_deployed_anew_once_if_its_database_has_another_address() -> None:
    stage = start_simulation()
    rollback = stage.run_until(stage.admit(), Step.SERVICE)
    running = rollback.plan.running if rollback.plan is not None else None
    assert rollback.plan is not None
    before = OriginalBranch(name="preview/pr-42", protected=False)
    moved = RecreateProgress(
        source_branch_id="br-source",
        started_at=stage.clock.now(),
        before=before,
        is_redeploy_needed=True,
        ended_at=stage.clock.now(),
    )
    stays = rollback.plan.model_copy(update={"target": running})
    stage.ledger.save(rollback.evolve(plan=stays, database=moved))

    stage.run_until(rollback, Step.VERIFY)

    deployed = [given for name, given in stage.services.calls if name == "update"]
    assert [given["force_new_deployment"] for given in deployed] == [True]


FIFTY = 50


@pytest.mark.parametrize(("maximum", "now", "wanted"), [(10, 2, 10), (10, 12, 12), (60, 2, FIFTY), (None, 2, FIFTY)])
def test_autoscaling_s_maximum_bounds_the_recorded_count(maximum: int | None, now: int, wanted: int) -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    stage.ship("v2", desired_count=now)
    if maximum is not None:
        stage.scaling.target = ScalableTarget(min_capacity=1, max_capacity=maximum, suspended={})
    done = stage.run()
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.services.desired_count == wanted
    asked = [given["desired_count"] for _, given in stage.services.calls if "desired_count" in given]
    assert max(asked) == wanted
    said = (
        f"v1 was recorded with a desired count of 50, autoscaling allows {maximum} now"
        in stage.notifications.sent[-1].message
    )
    assert said == (maximum is not None and maximum < FIFTY)


def test_the_count_before_our_fence_comes_back_though_scaling_allows_less() -> None:
    stage, fenced = start_simulation_at_zero()
    stage.scaling.target = None
    before = [owed for owed in fenced.open_obligations() if owed.kind is ObligationKind.FENCE]
    assert [owed.before for owed in before] == [{"desired_count": 2}]
    narrow = ScalableTarget(min_capacity=0, max_capacity=1, suspended=AUTOSCALED.all_suspended().suspended)
    stage.replace(scaling=FakeScaling(stage.services, narrow))
    for arn in stage.arns.values():
        stage.services.behaviours[arn] = "healthy"
    while stage.services.desired_count == 0:
        fenced = stage.run_due_step(fenced)
    assert stage.services.desired_count == 2


def test_the_recorded_count_is_used_with_a_note_if_autoscaling_does_not_answer() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    stage.ship("v2", desired_count=2)

    class Silent(FakeScaling):
        def describe(self, service: ServiceSettings) -> ScalableTarget | None:
            raise ExternalServiceError("DescribeScalableTargets: AccessDenied")

    stage.replace(scaling=Silent(stage.services))
    done = stage.run()
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.services.desired_count == FIFTY
    assert (
        "Application Auto Scaling could not be asked (DescribeScalableTargets: AccessDenied)"
        in stage.notifications.sent[-1].message
    )


def test_autoscaling_s_last_answer_holds_if_it_does_not_answer_again() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    stage.ship("v2", desired_count=2)
    answers = [ScalableTarget(min_capacity=1, max_capacity=10, suspended={})]

    class OnceThenSilent(FakeScaling):
        def describe(self, service: ServiceSettings) -> ScalableTarget | None:
            if not answers:
                raise ExternalServiceError("DescribeScalableTargets: no answer")
            return answers.pop()

    stage.replace(scaling=OnceThenSilent(stage.services))
    stage.run()
    assert stage.services.desired_count == 10
