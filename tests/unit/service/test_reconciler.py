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


def run_until_service_step(simulation: Simulation, execution_input: object = None) -> Rollback:
    return simulation.run_until(simulation.admit(execution_input), Step.SERVICE)


def test_a_completed_bad_release_is_replaced_by_one_update_to_the_target_by_digest() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(run_until_service_step(simulation), Step.VERIFY)
    assert simulation.changes() == ["update"]
    assert simulation.running() == image("v1")
    assert rollback.service is not None
    assert rollback.service.moves == ("update_service", "wait_for_target")


def test_a_bad_deployment_in_flight_from_the_target_is_stopped_and_nothing_else_is_deployed() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2")
    rollback = run_until_service_step(simulation)
    simulation.run_until(rollback, Step.VERIFY)
    assert simulation.changes() == ["stop_deployment"]
    assert simulation.running() == image("v1")


def test_a_bad_deployment_in_flight_from_another_bad_release_is_overridden_not_stopped() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2", QUARANTINED, hours_ago=1)
    simulation.begin_deployment("v3")
    simulation.run_until(run_until_service_step(simulation), Step.VERIFY)
    assert simulation.changes() == ["update"]
    assert simulation.running() == image("v1")


def test_rule_6_a_service_rollback_adopts_ecs_own_rollback_to_its_target_without_a_call() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2", "crashing")
    for _ in range(3):
        simulation.services.tick()
    rollback = simulation.run_until(run_until_service_step(simulation, deployment_event()), Step.VERIFY)
    assert rollback.plan is not None
    assert rollback.plan.running.version == image("v2").rpartition(":")[2][:12]
    assert simulation.changes() == []
    assert simulation.running() == image("v1")


def test_rule_6_a_service_rollback_deploys_after_ecs_own_rollback_to_a_quarantined_release_ends() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2", QUARANTINED, hours_ago=1)
    simulation.begin_deployment("v3", "crashing")
    for _ in range(3):
        simulation.services.tick()
    simulation.services.behaviours[simulation.arns["v2"]] = "unhealthy"  # ECS's own rollback takes a while then
    rollback = run_until_service_step(simulation)
    first_rollback = simulation.run_due_step(rollback)
    assert first_rollback.service is not None
    assert first_rollback.service.moves == ("wait_for_ecs",)
    assert simulation.changes() == []
    simulation.services.behaviours.pop(simulation.arns["v2"])
    rollback = simulation.run_until(rollback, Step.VERIFY)
    assert rollback.service is not None
    assert rollback.service.moves == ("wait_for_ecs", "update_service", "wait_for_target")
    assert simulation.running() == image("v1")


def test_a_deployment_newer_than_the_intent_is_stopped_by_its_own_arn() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2")
    rollback = run_until_service_step(simulation)
    rollback = simulation.ledger.save(service(rollback, simulation.ports))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    simulation.services.run(simulation.arns["v1"])
    simulation.begin_deployment("v3")
    simulation.run_until(rollback, Step.VERIFY)
    assert simulation.changes() == ["stop_deployment"]
    assert simulation.running() == image("v1")


@pytest.mark.parametrize(("recorded", "current_count", "expected_count"), [(4, 1, 4), (2, 6, 6), (3, 3, 3)])
def test_the_desired_count_is_the_larger_of_the_recorded_and_the_current_one(
    recorded: int, current_count: int, expected_count: int
) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=recorded)
    simulation.ship("v2", desired_count=current_count)
    simulation.run()
    assert simulation.services.desired_count == expected_count
    assert all(
        arguments.get("desired_count", expected_count) >= current_count for _, arguments in simulation.services.calls
    )


def test_capacity_that_autoscaling_added_between_intent_and_act_is_kept() -> None:
    simulation = start_simulation()
    rollback = simulation.ledger.save(service(run_until_service_step(simulation), simulation.ports))
    simulation.services.desired_count = 9
    simulation.run_due_step(rollback)
    assert simulation.services.desired_count == 9


def test_an_adopted_target_below_its_recorded_count_is_raised() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=4)
    simulation.begin_deployment("v2")
    simulation.services.desired_count = 1
    rollback = simulation.run_until(run_until_service_step(simulation), Step.VERIFY)
    assert simulation.services.desired_count == 4
    assert rollback.service is not None
    assert "raise_capacity" in rollback.service.moves


def test_rule_5_rollback_by_ecs_is_disabled_during_our_deployment_and_restored_exactly_once() -> None:
    simulation = start_simulation()
    simulation.services.deployment_configuration["alarms"] = {"enable": True, "rollback": True, "alarmNames": ["a"]}
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = run_until_service_step(simulation)
    simulation.run_due_step(rollback)
    during = simulation.services.deployment_configuration
    assert during["deploymentCircuitBreaker"] == {"enable": True, "rollback": False}
    assert during["alarms"] == {"enable": True, "rollback": False, "alarmNames": ["a"]}
    rollback = simulation.run_until(rollback)
    assert simulation.services.deployment_configuration == original_configuration
    parts = {part: original_configuration[part] for part in ("deploymentCircuitBreaker", "alarms")}
    put_back = [
        arguments for _, arguments in simulation.services.calls if arguments.get("deployment_configuration") == parts
    ]
    assert len(put_back) == 1
    (obligation,) = rollback.obligations
    assert (obligation.kind, obligation.before) == (ObligationKind.DEPLOYMENT_CONFIGURATION, parts)
    assert obligation.discharged_at is not None


def test_rule_5_a_configuration_without_rollback_by_ecs_is_not_changed() -> None:
    simulation = start_simulation()
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": False}
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.obligations == ()
    assert not any("deployment_configuration" in arguments for _, arguments in simulation.services.calls)


def test_rule_9_the_obligation_is_written_before_the_configuration_is_changed() -> None:
    simulation = start_simulation()
    intended = service(run_until_service_step(simulation), simulation.ports)
    assert simulation.changes() == []
    assert intended.service is not None
    assert intended.service.intent is not None
    breaker = simulation.services.deployment_configuration["deploymentCircuitBreaker"]
    assert [o.before for o in intended.open_obligations()] == [{"deploymentCircuitBreaker": breaker}]


def test_a_target_that_does_not_settle_in_time_fails_pages_and_leaves_a_suspect() -> None:
    simulation = start_simulation()
    rollback = run_until_service_step(simulation)
    simulation.run_due_step(rollback)
    simulation.services.behaviours[simulation.describe_service().primary.definition_arn] = "unhealthy"
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.FAILED
    assert "no further escalation level is allowed" in rollback.reason
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        "service",
        "emergency",
    ]  # v2 still serves, so the service never goes to zero
    assert "did not settle in 15 minutes" in rollback.service.attempts[0].escalation_reason
    assert simulation.severities() == ["page", "page"]  # the failure, then the configuration that could not be restored
    assert simulation.state_of("v2") == "suspect"


def take_over(simulation: Simulation) -> None:
    """Let another rollback take the lease once it ran out."""
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes + 1)
    assert (
        simulation.ledger.acquire(SERVICE, "another", simulation.clock.now(), simulation.clock.now().replace(hour=23))
        is not None
    )


def test_rule_9_a_lease_lost_in_the_middle_aborts_without_another_call() -> None:
    simulation = start_simulation()
    rollback = run_until_service_step(simulation)
    simulation.run_due_step(rollback)
    call_count = len(simulation.services.calls)
    take_over(simulation)
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.ABORTED
    assert len(simulation.services.calls) == call_count
    assert rollback.obligations[0].handed_to == "operator"  # the holder's document does not have it
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == "another"


def test_rule_9_no_call_is_made_if_the_lease_is_lost_between_intent_and_act() -> None:
    simulation = start_simulation()
    simulation.ledger.save(service(run_until_service_step(simulation), simulation.ports))
    take_over(simulation)
    rollback = simulation.run_until(next(simulation.ledger.history(SERVICE)))
    assert rollback.outcome is Outcome.ABORTED
    assert simulation.changes() == []


class SlowServices:
    """Observe for so long that the lease would run out before a change has ended."""

    def __init__(self, simulation: Simulation, minutes: float) -> None:
        self._simulation, self._real, self._minutes = simulation, simulation.services, minutes

    def __getattr__(self, name: str) -> Any:
        if name == "describe":
            self._simulation.clock.pass_time(minutes=self._minutes)
        return getattr(self._real, name)


def test_rule_9_no_intent_is_written_and_nothing_is_called_under_a_lease_that_ends_too_soon() -> None:
    simulation = start_simulation()
    rollback = run_until_service_step(simulation)
    simulation.replace(services=SlowServices(simulation, simulation.policy.lease_minutes - 0.5))
    rollback = simulation.run_until(rollback, Step.CONCLUDE)
    assert rollback.outcome is Outcome.ABORTED
    assert simulation.changes() == []


def test_rule_9_the_lease_is_read_again_before_the_act() -> None:
    """Call the step directly: `run_step` would renew the lease that ends too soon."""
    simulation = start_simulation()
    rollback = simulation.ledger.save(service(run_until_service_step(simulation), simulation.ports))
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes - 0.5)
    with pytest.raises(Exception, match="before the function's timeout"):
        service(rollback, simulation.ports)
    assert simulation.changes() == []


class LosesTheAnswer(FakeServices):
    """Lose the answer of a successful UpdateService."""

    lost = 0

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        if self.lost == 0:
            self.lost += 1
            raise ExternalServiceError("UpdateService: no answer")


def test_a_deployment_whose_answer_was_lost_is_recognised_and_not_repeated() -> None:
    simulation = start_simulation()
    losing = LosesTheAnswer(simulation.clock, simulation.images)
    losing.__dict__.update(simulation.services.__dict__)
    simulation.services = losing
    simulation.ports = replace(simulation.ports, services=losing)
    rollback = run_until_service_step(simulation)
    with pytest.raises(ExternalServiceError):
        run_step(rollback.id, Step.SERVICE, simulation.ports)
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert len([arguments for _, arguments in losing.calls if "definition_arn" in arguments]) == 1


def test_a_forced_rollback_deploys_a_quarantined_release() -> None:
    simulation = Simulation()
    simulation.ship("v1", QUARANTINED, hours_ago=48)
    simulation.ship("v2", CANDIDATE)
    assert simulation.run({"target_version": "v1"}).outcome is Outcome.REFUSED
    assert simulation.changes() == []
    rollback = simulation.run({"target_version": "v1", "force": True}, "execution-2")
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.running() == image("v1")
    assert simulation.state_of("v1") == CANDIDATE  # an operator chose it, and it was verified, so it may bake again


def test_the_running_release_is_redeployed_once_if_its_database_has_another_address() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(), Step.SERVICE)
    running = rollback.plan.running if rollback.plan is not None else None
    assert rollback.plan is not None
    original_branch = OriginalBranch(name="preview/pr-42", protected=False)
    progress = RecreateProgress(
        source_branch_id="br-source",
        started_at=simulation.clock.now(),
        before=original_branch,
        is_redeploy_needed=True,
        ended_at=simulation.clock.now(),
    )
    stays = rollback.plan.model_copy(update={"target": running})
    simulation.ledger.save(rollback.evolve(plan=stays, database=progress))

    simulation.run_until(rollback, Step.VERIFY)

    updates = [arguments for name, arguments in simulation.services.calls if name == "update"]
    assert [arguments["force_new_deployment"] for arguments in updates] == [True]


FIFTY = 50


@pytest.mark.parametrize(
    ("maximum", "current_count", "expected_count"), [(10, 2, 10), (10, 12, 12), (60, 2, FIFTY), (None, 2, FIFTY)]
)
def test_autoscaling_s_maximum_bounds_the_recorded_count(
    maximum: int | None, current_count: int, expected_count: int
) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    simulation.ship("v2", desired_count=current_count)
    if maximum is not None:
        simulation.scaling.target = ScalableTarget(min_capacity=1, max_capacity=maximum, suspended={})
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.services.desired_count == expected_count
    requested_counts = [
        arguments["desired_count"] for _, arguments in simulation.services.calls if "desired_count" in arguments
    ]
    assert max(requested_counts) == expected_count
    text = (
        f"v1 was recorded with a desired count of 50; autoscaling allows {maximum}"
        in simulation.notifications.sent[-1].message
    )
    assert text == (maximum is not None and maximum < FIFTY)


def test_the_desired_count_before_our_fence_is_restored_although_scaling_allows_less() -> None:
    simulation, fenced = start_simulation_at_zero()
    simulation.scaling.target = None
    obligations = [obligation for obligation in fenced.open_obligations() if obligation.kind is ObligationKind.FENCE]
    assert [obligation.before for obligation in obligations] == [{"desired_count": 2}]
    narrow_target = ScalableTarget(min_capacity=0, max_capacity=1, suspended=AUTOSCALED.all_suspended().suspended)
    simulation.replace(scaling=FakeScaling(simulation.services, narrow_target))
    for arn in simulation.arns.values():
        simulation.services.behaviours[arn] = "healthy"
    while simulation.services.desired_count == 0:
        fenced = simulation.run_due_step(fenced)
    assert simulation.services.desired_count == 2


def test_the_recorded_count_is_used_with_a_note_if_autoscaling_does_not_answer() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    simulation.ship("v2", desired_count=2)

    class Silent(FakeScaling):
        def describe(self, service: ServiceSettings) -> ScalableTarget | None:
            raise ExternalServiceError("DescribeScalableTargets: AccessDenied")

    simulation.replace(scaling=Silent(simulation.services))
    rollback = simulation.run()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.services.desired_count == FIFTY
    assert (
        "Application Auto Scaling could not be asked (DescribeScalableTargets: AccessDenied)"
        in simulation.notifications.sent[-1].message
    )


def test_the_last_answer_of_autoscaling_is_used_if_a_later_call_fails() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=FIFTY)
    simulation.ship("v2", desired_count=2)
    answers = [ScalableTarget(min_capacity=1, max_capacity=10, suspended={})]

    class OnceThenSilent(FakeScaling):
        def describe(self, service: ServiceSettings) -> ScalableTarget | None:
            if not answers:
                raise ExternalServiceError("DescribeScalableTargets: no answer")
            return answers.pop()

    simulation.replace(scaling=OnceThenSilent(simulation.services))
    simulation.run()
    assert simulation.services.desired_count == 10
