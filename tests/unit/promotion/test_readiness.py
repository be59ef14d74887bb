"""Rollback readiness: obstacles to a rollback, found in advance; and drift."""

from collections.abc import Mapping
from typing import Any

import pytest
from fakes.aws.ecs_services import FakeServices
from fakes.aws.metrics import FakeMetrics
from simulations.fake_ports import OUTAGE, SETTINGS
from simulations.service import PROMOTED, Simulation, deployment_event
from support.builders import SERVICE, image
from support.stand_ins import access_denied_error

from rollback.check import Verdict
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import CallRefused, ExternalServiceError
from rollback.promotion.promote import adopt_running_releases, record_deployment
from rollback.promotion.readiness import prepare_standing_plan, prepare_standing_plan_if_due
from rollback.resources.aws.cloudformation_stack import StackState, StackView, list_drift
from rollback.workflow.janitor import sweep

HEALTH_CHECKS = {"HealthCheckPath": "/health", "HealthCheckPort": "traffic-port", "HealthCheckProtocol": "HTTP"}


def simulation_with_ready_target(**changes: Any) -> Simulation:
    simulation = Simulation()
    group = simulation.services.target_groups[0]
    recorded = {group: {**HEALTH_CHECKS, "Matcher": {"HttpCode": "200"}}}
    simulation.ship("v1", PROMOTED, hours_ago=48, **{"health_checks": recorded, **changes})
    return simulation


def readiness_of(plan: StandingPlan, name: str) -> tuple[str, str]:
    return next((check.verdict, check.reason) for check in plan.readiness if check.name == name)


def test_a_service_with_a_promoted_release_is_ready_and_its_definition_is_registered() -> None:
    simulation = simulation_with_ready_target()
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert plan.is_ready
    assert {check.verdict for check in plan.readiness} <= {Verdict.PASS, Verdict.SKIPPED}
    registered = simulation.services.definition(plan.targets[0].definition_arn)
    assert registered is not None
    assert (registered["status"], registered["containerDefinitions"][0]["image"]) == ("ACTIVE", image("v1"))


def test_no_rollback_is_available_without_a_promoted_release() -> None:
    simulation = Simulation()
    simulation.ship("v1")
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert not plan.is_ready
    assert readiness_of(plan, "promoted-release-exists")[0] is Verdict.FAIL


def test_no_rollback_is_available_to_an_image_that_was_deleted_from_the_registry() -> None:
    simulation = simulation_with_ready_target()
    simulation.images.missing.add(image("v1"))
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert not plan.is_ready
    assert "build and push it again" in readiness_of(plan, "image-exists")[1]


def test_readiness_describes_the_rollback_from_the_running_release() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2", PROMOTED, hours_ago=1)
    simulation.images.missing.add(image("v1"))
    assert not prepare_standing_plan(SERVICE, simulation.ports).is_ready
    simulation.ship("v3")
    assert prepare_standing_plan(SERVICE, simulation.ports).is_ready  # back to v2


def with_secret(simulation: Simulation, arn: str) -> None:
    """Let the registered target refer to this secret."""
    target = prepare_standing_plan(SERVICE, simulation.ports).targets[0].definition_arn
    container = simulation.services._definitions[target]["containerDefinitions"][0]
    container["secrets"] = [{"name": "DATABASE_URL", "valueFrom": arn}]


def test_a_missing_secret_makes_the_target_unready() -> None:
    simulation = simulation_with_ready_target()
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-AbCdEf"
    with_secret(simulation, arn)
    assert prepare_standing_plan(SERVICE, simulation.ports).is_ready
    simulation.ports.secrets.missing.add(arn)  # type: ignore[attr-defined]
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert not plan.is_ready
    assert arn in readiness_of(plan, "secrets-exist")[1]


def test_a_health_check_that_changed_since_the_release_ran_is_a_warning() -> None:
    simulation = simulation_with_ready_target()
    simulation.ports.target_groups.health_check_path = "/healthz"  # type: ignore[attr-defined]
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert plan.is_ready
    result, reason = readiness_of(plan, "health-check-is-unchanged")
    assert result is Verdict.WARN
    assert "HealthCheckPath was '/health', is '/healthz'" in reason


def test_a_disabled_circuit_breaker_or_container_insights_is_a_warning() -> None:
    simulation = simulation_with_ready_target()
    simulation.services.deployment_configuration["deploymentCircuitBreaker"] = {"enable": False, "rollback": False}
    simulation.services.container_insights = False
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert plan.is_ready
    assert readiness_of(plan, "circuit-breaker-is-on")[0] is Verdict.WARN
    assert readiness_of(plan, "container-insights-is-on")[0] is Verdict.WARN


def test_a_service_that_does_not_answer_is_a_warning_and_no_alarm() -> None:
    simulation = simulation_with_ready_target()

    def fail(image: str) -> bool:
        raise ExternalServiceError("ECR: no answer")

    simulation.images.exists = fail  # type: ignore[method-assign]
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert plan.is_ready
    assert readiness_of(plan, "image-exists") == (Verdict.WARN, "not checked: ECR: no answer")


def test_readiness_is_checked_after_each_deployment_and_once_an_hour() -> None:
    simulation = simulation_with_ready_target()
    record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    first_plan = simulation.ledger.standing_plan(SERVICE)
    assert first_plan is not None
    simulation.pass_time(minutes=59)
    assert prepare_standing_plan_if_due(SERVICE, simulation.ports) is None
    simulation.pass_time(minutes=2)
    adopt_running_releases(simulation.ports)
    second_plan = simulation.ledger.standing_plan(SERVICE)
    assert second_plan is not None
    assert second_plan.computed_at > first_plan.computed_at


@pytest.mark.parametrize("state", [PROMOTED, "candidate"])
def test_the_janitor_emits_whether_a_rollback_is_available(state: Any) -> None:
    metrics = FakeMetrics()
    simulation = Simulation(metrics=metrics)
    simulation.ship("v1", state)
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.alarms.in_alarm.clear()
    sweep(simulation.ports)
    assert metrics.sweeps == 1
    assert metrics.seen == {SERVICE: (state is PROMOTED, 0)}


def test_the_janitor_emits_stale_leases() -> None:
    metrics = FakeMetrics()
    simulation = Simulation(metrics=metrics)
    simulation.ship("v1", PROMOTED)
    simulation.alarms.in_alarm.clear()
    now = simulation.clock.now()
    simulation.ledger.acquire(SERVICE, "forgotten", now, now)
    sweep(simulation.ports)
    assert metrics.seen[SERVICE][1] == 1


# Drift

STACK = StackView(name="S", status="UPDATE_COMPLETE", definition_arns=("arn:aws:ecs:r:a:task-definition/api:7",))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATE_COMPLETE", StackState.STABLE),
        ("UPDATE_IN_PROGRESS", StackState.UPDATING),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", StackState.STABLE),
        ("UPDATE_ROLLBACK_IN_PROGRESS", StackState.ROLLING_BACK),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", StackState.STABLE),
        ("UPDATE_ROLLBACK_FAILED", StackState.STABLE),
        ("DELETE_IN_PROGRESS", StackState.UPDATING),
    ],
)
def test_a_stack_s_status_gives_its_state(status: str, state: StackState) -> None:
    assert StackView(name="S", status=status).state is state


def test_there_is_no_drift_if_cloudformation_records_the_running_definition() -> None:
    assert list_drift(STACK, "arn:aws:ecs:r:a:task-definition/api:7") is None
    assert list_drift(StackView(name="S", status="UPDATE_COMPLETE"), "arn:aws:ecs:r:a:task-definition/api:7") is None


def test_drift_is_reported_with_the_fix() -> None:
    drift = list_drift(STACK, "arn:aws:ecs:r:a:task-definition/api-last-known-good:2")
    assert drift is not None
    assert "still records api:7, but api-last-known-good:2 runs" in drift
    assert "before you deploy" in drift


def test_the_report_of_a_rollback_describes_the_cloudformation_drift() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    service = SETTINGS.services[0].model_copy(update={"stack": "S"})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    simulation.stacks.stack = StackView(name="S", status="UPDATE_COMPLETE", definition_arns=(simulation.arns["v2"],))
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert "CloudFormation (stack S) still records macro-ai-production-task:2" in rollback.drift
    assert rollback.drift in simulation.notifications.sent[-1].message


class RefusesOne(FakeServices):
    """ECS that refuses to register definitions with this image: its role may no longer be passed."""

    refused = ""

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        if definition["containerDefinitions"][0]["image"] == self.refused:
            raise access_denied_error("RegisterTaskDefinition")
        return super().register(definition, family, release, tags)


def refuse_registration(simulation: Simulation, version: str) -> None:
    simulation.services.__class__ = RefusesOne
    simulation.services.refused = image(version)  # type: ignore[attr-defined]


def test_an_old_release_that_ecs_refuses_to_register_does_not_block_newer_targets() -> None:
    """One such release once blocked all readiness checks, and with them all promotions."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=97)
    simulation.ship("v1", PROMOTED, hours_ago=96)
    simulation.ship("v2", PROMOTED, hours_ago=48)
    refuse_registration(simulation, "v1")
    assert [target.release.version for target in prepare_standing_plan(SERVICE, simulation.ports).targets] == [
        "v2",
        "v0",
    ]


def test_the_standing_plan_stays_if_the_newest_release_can_not_be_registered() -> None:
    """The function's role may be the cause of the refusal: no plan would be worse."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=96)
    recorded_plan = prepare_standing_plan(SERVICE, simulation.ports)
    simulation.ship("v2", PROMOTED, hours_ago=48)
    refuse_registration(simulation, "v2")
    with pytest.raises(CallRefused):
        prepare_standing_plan(SERVICE, simulation.ports)
    assert simulation.ledger.standing_plan(SERVICE) == recorded_plan
