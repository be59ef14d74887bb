"""Escalation: service → emergency → restart from zero → operator (rule 4: healthy targets decide)."""

import pytest
from fakes.aws.ecs_services import FakeServices
from simulations.fake_ports import DEGRADED
from simulations.service import Simulation, start_simulation
from support.builders import image

from rollback.domain.escalation import EscalationEnd, EscalationLevel, ServiceHealth, next_escalation
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import ExternalServiceError
from rollback.resources.aws.ecs_service import TargetHealth
from rollback.workflow.route import Step

SERVES = ServiceHealth(is_target_running=True, healthy_targets=2, has_healthy_target=True, desired_count=2)
HALF_HEALTHY = ServiceHealth(is_target_running=True, healthy_targets=1, has_healthy_target=True, desired_count=2)
NOTHING = ServiceHealth(is_target_running=False, healthy_targets=0, has_healthy_target=False, desired_count=2)
UNKNOWN = ServiceHealth(is_target_running=False, healthy_targets=None, has_healthy_target=None, desired_count=2)
OLD_TASKS_SERVE = ServiceHealth(
    is_target_running=True, healthy_targets=2, has_healthy_target=True, desired_count=2, other_tasks=2
)


@pytest.mark.parametrize(
    ("current", "service_health", "restart", "next_level"),
    [
        (EscalationLevel.SERVICE, NOTHING, "allow", EscalationLevel.EMERGENCY),
        (EscalationLevel.SERVICE, HALF_HEALTHY, "allow", EscalationLevel.EMERGENCY),
        (EscalationLevel.SERVICE, UNKNOWN, "allow", EscalationLevel.EMERGENCY),
        (EscalationLevel.SERVICE, OLD_TASKS_SERVE, "allow", EscalationLevel.EMERGENCY),
        (EscalationLevel.EMERGENCY, NOTHING, "allow", EscalationLevel.RESTART_FROM_ZERO),
        (EscalationLevel.EMERGENCY, NOTHING, "refuse", EscalationEnd.NO_LEVEL_ALLOWED),
        (EscalationLevel.EMERGENCY, HALF_HEALTHY, "allow", EscalationEnd.NO_LEVEL_ALLOWED),
        (EscalationLevel.EMERGENCY, UNKNOWN, "allow", EscalationEnd.NO_LEVEL_ALLOWED),  # unknown is not zero
        (EscalationLevel.RESTART_FROM_ZERO, NOTHING, "allow", EscalationEnd.NO_LEVEL_ALLOWED),
        (EscalationLevel.SERVICE, SERVES, "allow", EscalationEnd.NOT_THE_RELEASE),
        (EscalationLevel.EMERGENCY, SERVES, "allow", EscalationEnd.NOT_THE_RELEASE),
        (EscalationLevel.RESTART_FROM_ZERO, SERVES, "allow", EscalationEnd.NOT_THE_RELEASE),
    ],
)
def test_rule_4_healthy_targets_decide_the_next_level_and_never_an_alarm(
    current: EscalationLevel, service_health: ServiceHealth, restart: str, next_level: EscalationLevel | EscalationEnd
) -> None:
    assert next_escalation(current, service_health, restart) is next_level  # type: ignore[arg-type]


def fail_every_new_deployment(simulation: Simulation) -> None:
    """Let every new deployment fail its health check, while v2's tasks still answer."""
    simulation.services.default_behaviour = "unhealthy"
    simulation.services.behaviours[simulation.arns["v2"]] = "healthy"


def test_a_target_that_serves_while_a_dependency_is_down_does_not_escalate_and_a_page_names_the_alarm() -> None:
    simulation = start_simulation(healthy_versions=set())
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert "the release is not the cause" in rollback.reason
    assert simulation.running() == image("v1")
    assert simulation.changes() == ["update", "update"]  # the target, then the configuration
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [EscalationLevel.SERVICE]
    assert "the release is not the cause" in simulation.pages()[0]
    assert f"in ALARM: {DEGRADED}" in simulation.pages()[0]


def test_zero_healthy_targets_escalate_through_every_level_and_a_page_lists_attempts_and_next_steps() -> None:
    simulation = start_simulation()
    fail_every_new_deployment(simulation)
    simulation.services.behaviours[simulation.arns["v2"]] = "unhealthy"
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
        EscalationLevel.RESTART_FROM_ZERO,
    ]
    (page, *_) = simulation.pages()
    for text in (
        "Tried service",
        "Tried emergency",
        "Tried restart from zero",
        "An operator has to act",
        "  ECS: ",
        "aws",
    ):
        assert text in page


def test_a_service_with_a_healthy_target_is_never_brought_to_zero() -> None:
    simulation = start_simulation()
    fail_every_new_deployment(simulation)
    rollback = simulation.run()
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
    ]
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls)


def test_an_environment_may_refuse_the_restart_from_zero() -> None:
    simulation = start_simulation(policy=Policy(restart_from_zero="refuse"))
    fail_every_new_deployment(simulation)
    simulation.services.behaviours[simulation.arns["v2"]] = "unhealthy"
    rollback = simulation.run()
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
    ]


def test_unknown_target_health_does_not_count_as_zero_healthy_targets() -> None:
    simulation = start_simulation()
    fail_every_new_deployment(simulation)

    class Silent:
        def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
            raise ExternalServiceError("DescribeTargetHealth: throttled")

        def health_checks(self, arns: tuple[str, ...]) -> dict[str, dict[str, object]]:
            return {}

    simulation.replace(target_groups=Silent())
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls)


def test_the_emergency_level_keeps_healthy_capacity_and_lets_all_replacements_start_at_once() -> None:
    simulation = start_simulation()
    simulation.services.deployment_configuration |= {"minimumHealthyPercent": 100, "maximumPercent": 100}
    original_configuration = dict(simulation.services.deployment_configuration)
    fail_every_new_deployment(simulation)
    rollback = simulation.run()
    configurations = [arguments.get("deployment_configuration") for _, arguments in simulation.services.calls]
    assert [arguments.get("maximumPercent") for arguments in configurations if arguments is not None] == [None, 200]
    assert not any("minimumHealthyPercent" in arguments for arguments in configurations if arguments is not None)
    assert simulation.services.deployment_configuration["minimumHealthyPercent"] == 100
    assert rollback.open_obligations() == ()
    # the deployment never completed, so an operator gets the obligation with the recorded configuration
    assert [obligation.handed_to for obligation in rollback.obligations] == ["operator"] * len(rollback.obligations)
    restored_parts = {part: value for obligation in rollback.obligations for part, value in obligation.before.items()}
    assert restored_parts == {
        part: original_configuration[part] for part in ("deploymentCircuitBreaker", "maximumPercent")
    }


def test_a_target_that_does_not_start_is_redeployed_once() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    fake_tick = FakeServices.tick

    def hangs_until_forced(self: FakeServices) -> None:
        forced = any(arguments.get("force_new_deployment") for _, arguments in self.calls)
        if forced or not any(name == "update" for name, _ in self.calls):
            fake_tick(self)

    simulation.services.tick = hangs_until_forced.__get__(simulation.services)  # type: ignore[method-assign]
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is not None
    forced = [arguments for _, arguments in simulation.services.calls if arguments.get("force_new_deployment")]
    assert len(forced) == 1
    assert simulation.running() == image("v1")
    assert rollback.service is not None
    assert "force_new_deployment" in rollback.service.moves


def test_a_rollback_succeeds_only_after_its_triggering_alarm_is_ok() -> None:
    simulation = start_simulation(healthy_versions=set())
    rollback = simulation.run_until(simulation.admit(), Step.VERIFY)
    for _ in range(simulation.policy.verify_rounds + 2):
        rollback = simulation.run_due_step(rollback)
    assert rollback.outcome is None
    simulation.alarms.recover(DEGRADED)
    rollback = simulation.run_until(rollback)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.service is not None
    assert rollback.service.attempts == ()
