"""Inconclusive target groups: no load balancer routes to them, or they were deleted."""

import pytest
from fakes.aws.alarms import TARGET_GROUP
from fakes.aws.elb import FakeTargetGroups
from simulations.service import PROMOTED, Simulation, start_simulation
from support.builders import SERVICE, image
from support.stand_ins import DenyingPort, access_denied_error

from rollback.check import Check, Verdict
from rollback.domain.escalation import EscalationLevel
from rollback.domain.rollback import Outcome
from rollback.promotion.promote import adopt_running_releases
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import TargetHealth
from rollback.service.escalate import count_healthy_targets
from rollback.verification.check_list import CheckOptions, run_checks
from rollback.verification.checks.alarms import AlarmHandling

SECOND = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/internal/fedcba9876543210"
UNUSED = (TargetHealth(target="10.0.0.1:8080", state="unused", reason="Target.NotInUse"),) * 2


def add_second_target_group(simulation: Simulation, *states: TargetHealth) -> FakeTargetGroups:
    """Attach a second target group with these targets."""
    simulation.services.target_groups = (TARGET_GROUP, SECOND)
    targets = FakeTargetGroups(simulation.services)
    targets.answers[SECOND] = states
    simulation.replace(target_groups=targets)
    return targets


def delete_second_target_group(simulation: Simulation) -> None:
    """Attach a second target group that was deleted."""

    class SecondIsGone(FakeTargetGroups):
        def _service_of_target_group(self, target_group_arn: str, operation: str):  # type: ignore[no-untyped-def]
            return super()._service_of_target_group(
                target_group_arn if target_group_arn != SECOND else f"{SECOND}-gone", operation
            )

    simulation.services.target_groups = (TARGET_GROUP, SECOND)
    simulation.replace(target_groups=SecondIsGone(simulation.services))


def health_check(simulation: Simulation) -> Check:
    view = simulation.describe_service()
    release, options = simulation.ship("v1", PROMOTED), CheckOptions(alarms=AlarmHandling.IGNORE)
    checks = run_checks(SERVICE, release, view, simulation.ports, options)
    return next(check for check in checks if check.name == "target-health")


def test_an_unused_target_group_is_no_evidence_beside_a_checked_target_group() -> None:
    simulation = start_simulation()
    add_second_target_group(simulation, *UNUSED)
    check = health_check(simulation)
    assert check.verdict is Verdict.PASS
    assert check.reason == "2 of 2 targets healthy; target group internal: no load balancer routes to it"
    assert count_healthy_targets(simulation.describe_service(), simulation.ports) == (2,)


def test_health_is_reported_as_unknown_if_no_target_group_is_conclusive() -> None:
    simulation = start_simulation()
    add_second_target_group(simulation, *UNUSED).answers[TARGET_GROUP] = UNUSED
    check = health_check(simulation)
    assert check.verdict is Verdict.SKIPPED
    assert check.reason.startswith("not checked")
    assert count_healthy_targets(simulation.describe_service(), simulation.ports) is None


def test_a_rollback_with_unknown_target_health_never_stops_all_tasks() -> None:
    simulation = start_simulation()
    simulation.services.default_behaviour = "unhealthy"
    add_second_target_group(simulation, *UNUSED).answers[TARGET_GROUP] = UNUSED
    rollback = simulation.run({"type": "emergency"})
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls)
    assert rollback.service is not None
    assert EscalationLevel.RESTART_FROM_ZERO not in {attempt.escalation_level for attempt in rollback.service.attempts}


def test_targets_in_a_zone_that_the_load_balancer_does_not_serve_are_not_healthy() -> None:
    """`Target.NotInUse` has another meaning in such a zone: the group is in use, and its targets get no request."""
    simulation = start_simulation()
    add_second_target_group(simulation, *UNUSED).outside_zones.add(SECOND)
    assert health_check(simulation).verdict is Verdict.FAIL
    assert count_healthy_targets(simulation.describe_service(), simulation.ports) == (
        2,
        0,
    )


@pytest.mark.parametrize(
    "state",
    [
        TargetHealth(target="10.0.0.1:8080", state="unused", reason="Target.InvalidState"),
        TargetHealth(target="10.0.0.1:8080", state="draining", reason="Target.DeregistrationInProgress"),
        TargetHealth(target="10.0.0.1:8080", state="unavailable", reason="Elb.InternalError"),
    ],
)
def test_only_targets_that_are_not_in_use_are_inconclusive(state: TargetHealth) -> None:
    simulation = start_simulation()
    add_second_target_group(simulation, state)
    assert health_check(simulation).verdict is Verdict.FAIL


def test_a_target_group_without_targets_has_no_healthy_target() -> None:
    simulation = start_simulation()
    add_second_target_group(simulation)
    assert health_check(simulation).verdict is Verdict.FAIL


def test_unused_and_deleted_target_groups_are_reported_in_advance() -> None:
    simulation = start_simulation()
    add_second_target_group(simulation, *UNUSED)
    target_group_check = next(
        check
        for check in prepare_standing_plan(SERVICE, simulation.ports).readiness
        if check.name == "target-groups-are-in-use"
    )
    assert target_group_check.verdict is Verdict.WARN
    assert "internal: no load balancer routes to it" in target_group_check.reason
    delete_second_target_group(simulation)
    target_group_check = next(
        check
        for check in prepare_standing_plan(SERVICE, simulation.ports).readiness
        if check.name == "target-groups-are-in-use"
    )
    assert target_group_check.verdict is Verdict.WARN
    assert "TargetGroupNotFound" in target_group_check.reason


def test_a_deleted_target_group_ends_a_rollback_that_helped_without_escalation() -> None:
    simulation = start_simulation()
    delete_second_target_group(simulation)
    rollback = simulation.run()
    assert rollback.outcome is Outcome.FAILED
    assert "TargetGroupNotFound" in rollback.reason
    assert simulation.running() == image("v1")
    assert rollback.service is not None
    assert rollback.service.attempts == ()


@pytest.mark.parametrize(
    "arrange",
    [delete_second_target_group, lambda simulation: add_second_target_group(simulation, *UNUSED)],
    ids=["deleted", "unused"],
)
def test_a_healthy_release_is_promoted_beside_an_inconclusive_target_group(arrange) -> None:  # type: ignore[no-untyped-def]
    simulation = start_simulation()
    arrange(simulation)
    simulation.alarms.in_alarm.clear()
    for _ in range(60):
        simulation.pass_time(minutes=5)
        simulation.alarms.serve(TARGET_GROUP, 200, simulation.clock.now())
        adopt_running_releases(simulation.ports)
    assert simulation.state_of("v2") == PROMOTED


def test_a_missing_permission_does_not_count_as_a_deleted_target_group() -> None:
    simulation = start_simulation()
    simulation.replace(
        target_groups=DenyingPort(simulation.ports.target_groups, "health", refused=access_denied_error("health"))
    )
    simulation.alarms.in_alarm.clear()
    for _ in range(30):
        simulation.pass_time(minutes=5)
        simulation.alarms.serve(TARGET_GROUP, 200, simulation.clock.now())
        adopt_running_releases(simulation.ports)
    assert simulation.state_of("v2") == "candidate"
