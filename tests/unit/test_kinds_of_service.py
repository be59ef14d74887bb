"""Each step of the product with each kind of service: no step looks at what the service does not have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakes.aws.alarms import TARGET_GROUP
from fakes.aws.elb import FakeTargetGroups
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import PROMOTED, Simulation, deployment_event
from support.builders import SERVICE

from rollback.check import Check, Verdict
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.watched import Unwatched
from rollback.incident.gather import gather_evidence
from rollback.names import error_logs_namespace
from rollback.promotion.promote import adopt_running_releases, judge_bake, promote_by_operator, record_deployment
from rollback.promotion.readiness import prepare_standing_plan
from rollback.verification.running_release import check_running_release

NETWORK_GROUP, SECOND_GROUP = (TARGET_GROUP.replace("express-api", name) for name in ("tcp", "internal"))
NAMESPACE = error_logs_namespace("macro-ai-production", SERVICE)


@dataclass(frozen=True)
class Kind:
    """A kind of service.

    Attributes:
        groups: its target groups.
        of_network: those of a network load balancer.
        unwatched: resources that the settings don't name.
    """

    groups: tuple[str, ...] = ()
    of_network: tuple[str, ...] = ()
    unwatched: tuple[Unwatched, ...] = ()

    @property
    def counts_requests(self) -> bool:
        return bool(set(self.groups) - set(self.of_network))


KINDS = {
    "application load balancer": Kind((TARGET_GROUP,)),
    "several load balancers": Kind((TARGET_GROUP, SECOND_GROUP)),
    "network load balancer": Kind((NETWORK_GROUP,), (NETWORK_GROUP,)),
    "application and network load balancer": Kind((TARGET_GROUP, NETWORK_GROUP), (NETWORK_GROUP,)),
    "worker": Kind(),
    "worker without a log group": Kind(unwatched=(Unwatched.LOG_GROUP,)),
    "logs by FireLens": Kind((TARGET_GROUP,), unwatched=(Unwatched.LOG_GROUP,)),
    "image outside ECR": Kind((TARGET_GROUP,), unwatched=(Unwatched.REPOSITORY,)),
}


@dataclass
class Looks:
    """Target groups and metrics that the steps asked about."""

    groups: set[str] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)


class WatchedTargetGroups(FakeTargetGroups):
    """The fake, which notes each target group that it is asked about."""

    def __init__(self, simulation: Simulation, looks: Looks) -> None:
        super().__init__(simulation.services)
        self._looks = looks

    def health(self, target_group_arn: str) -> Any:
        self._looks.groups.add(target_group_arn)
        return super().health(target_group_arn)

    def has_load_balancer(self, target_group_arn: str) -> bool:
        self._looks.groups.add(target_group_arn)
        return super().has_load_balancer(target_group_arn)

    def health_checks(self, target_group_arns: tuple[str, ...]) -> Any:
        self._looks.groups.update(target_group_arns)
        return super().health_checks(target_group_arns)

    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        self._looks.groups.update(target_group_arns)
        return super().sibling_target_groups(target_group_arns)


def simulation_of(kind: Kind, looks: Looks | None = None) -> Simulation:
    """v1 is promoted, and v2 runs, on a service of this kind; the alarm is in ALARM."""
    simulation = Simulation()
    simulation.services.target_groups = kind.groups
    simulation.alarms.target_groups = set(kind.groups)
    simulation.alarms.of_network_load_balancers = set(kind.of_network)
    looks = looks or Looks()
    simulation.replace(target_groups=WatchedTargetGroups(simulation, looks))
    count_error_lines = simulation.alarms.error_logs_between

    def error_logs_between(namespace: str, since: Any, until: Any) -> Any:
        looks.namespaces.add(namespace)
        return count_error_lines(namespace, since, until)

    simulation.alarms.error_logs_between = error_logs_between  # type: ignore[method-assign]
    set_service(simulation, unwatched=kind.unwatched)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    return simulation


def set_service(simulation: Simulation, **fields: Any) -> None:
    service = simulation.service_settings.model_copy(update=fields)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))


def serve(simulation: Simulation, count: float = 1000) -> None:
    for group in simulation.services.target_groups:
        if group not in simulation.alarms.of_network_load_balancers:
            simulation.alarms.serve(group, count, simulation.clock.now())


def bake(simulation: Simulation) -> str:
    """Record v2, let it bake for 15 minutes under load, and return the summary of the verdict."""
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    for _ in range(15):
        serve(simulation)
        simulation.alarms.log(NAMESPACE, 0, simulation.clock.now())
        simulation.pass_time(minutes=1)
    return judge_bake(cursor, simulation.ports).summary


def degraded_rollback(simulation: Simulation) -> None:
    serve(simulation)
    assert_succeeded(simulation.run_alarm_rollback(DEGRADED))


def emergency_rollback(simulation: Simulation) -> None:
    assert_succeeded(simulation.run_alarm_rollback(OUTAGE))


def operators_rollback(simulation: Simulation) -> None:
    assert_succeeded(simulation.run({"reason": "try", "requested_by": "ada"}))


def failed_deployment(simulation: Simulation) -> None:
    simulation.begin_deployment("v3", "crashing")
    for _ in range(8):
        simulation.pass_time(seconds=10)
    assert simulation.run(deployment_event()).outcome in (Outcome.SUCCEEDED, Outcome.SUPPRESSED)


def incident(simulation: Simulation) -> None:
    rollback = simulation.run_alarm_rollback(OUTAGE)
    evidence = gather_evidence(rollback, simulation.ports)
    assert "could not be read" not in evidence.traffic_remark


def promotion(simulation: Simulation) -> None:
    assert bake(simulation) == "v2 is promoted"


def adoption(simulation: Simulation) -> None:
    simulation.alarms.recover(DEGRADED)
    adopt_running_releases(simulation.ports)
    serve(simulation)
    simulation.pass_time(minutes=16)
    assert [cursor.summary for cursor in adopt_running_releases(simulation.ports)] == ["v2 is promoted"]


def operators_promotion(simulation: Simulation) -> None:
    promote_by_operator(SERVICE, None, "ada", simulation.ports)


def readiness(simulation: Simulation) -> None:
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    assert plan.is_ready, plan.readiness


def single_verification(simulation: Simulation) -> None:
    simulation.alarms.recover(DEGRADED)
    simulation.pass_time(minutes=5)
    view = simulation.describe_service()
    checks = check_running_release(simulation.service_settings, view, view.primary.created_at, simulation.ports)
    assert [check.name for check in checks if check.verdict is Verdict.FAIL] == []


STEPS: tuple[Callable[[Simulation], None], ...] = (
    degraded_rollback, emergency_rollback, operators_rollback, failed_deployment, incident, promotion, adoption,
    operators_promotion, readiness, single_verification,
)  # fmt: skip


def assert_succeeded(rollback: Rollback) -> None:
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_no_step_looks_at_a_target_group_or_a_log_that_the_service_does_not_have(
    kind: Kind, step: Callable[[Simulation], None]
) -> None:
    looks = Looks()
    step(simulation_of(kind, looks))
    assert looks.groups <= set(kind.groups)
    if Unwatched.LOG_GROUP in kind.unwatched:
        assert looks.namespaces == set()


# Records of a bake, a rollback and readiness


def readiness_check(simulation: Simulation, name: str) -> Check:
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    return next(check for check in plan.readiness if check.name == name)


@pytest.mark.parametrize("name", ["worker", "network load balancer"])
def test_a_release_without_counted_requests_is_promoted_by_time_and_tasks_and_the_record_says_so(name: str) -> None:
    simulation = simulation_of(KINDS[name])
    assert bake(simulation) == "v2 is promoted"
    promoted = next(r for r in simulation.ledger.releases(SERVICE) if r.version == "v2")
    assert "no requests were counted; 2 tasks run, and none failed since" in promoted.state_reason


def test_requests_of_one_application_load_balancer_are_required_beside_a_network_load_balancer() -> None:
    simulation = simulation_of(KINDS["application and network load balancer"])
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    simulation.pass_time(minutes=15)
    assert "0 requests during the bake, fewer than the required 100" in judge_bake(cursor, simulation.ports).summary


@pytest.mark.parametrize("name", ["worker", "network load balancer"])
def test_a_failed_task_without_counted_requests_starts_the_bake_again(name: str) -> None:
    simulation = simulation_of(KINDS[name])
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    simulation.pass_time(minutes=10)
    simulation.services.end_task(exit_code=1)
    simulation.pass_time(minutes=5)
    cursor = judge_bake(cursor, simulation.ports)
    assert "tasks-keep-running: 1 tasks failed" in cursor.summary
    bake = simulation.ledger.bake(SERVICE)
    assert bake is not None
    assert bake.since == simulation.clock.now()
    simulation.pass_time(minutes=15)
    assert judge_bake(cursor, simulation.ports).summary == "v2 is promoted"


def test_a_failed_task_behind_an_application_load_balancer_does_not_hinder_a_promotion_with_requests() -> None:
    simulation = simulation_of(KINDS["application load balancer"])
    simulation.services.end_task(exit_code=1)
    assert bake(simulation) == "v2 is promoted"


def test_the_outcome_of_a_workers_rollback_says_that_no_requests_were_counted() -> None:
    rollback = simulation_of(KINDS["worker"]).run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.reason.endswith("no load balancer: no requests were counted")


def test_a_classic_load_balancer_is_said_not_to_be_looked_at() -> None:
    simulation = simulation_of(KINDS["worker"])
    simulation.services.classic_load_balancers = ("old",)
    assert readiness_check(simulation, "requests-are-counted").verdict is Verdict.WARN
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.reason.endswith("Classic Load Balancer old is not looked at: no requests were counted")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_readiness_says_whether_requests_and_error_lines_are_counted(kind: Kind) -> None:
    simulation = simulation_of(kind)
    requests = readiness_check(simulation, "requests-are-counted")
    assert requests.verdict is (Verdict.PASS if kind.counts_requests else Verdict.SKIPPED)
    error_lines = readiness_check(simulation, "error-lines-are-counted")
    assert error_lines.verdict is (Verdict.WARN if Unwatched.LOG_GROUP in kind.unwatched else Verdict.PASS)


def test_an_incident_of_a_network_load_balancer_names_why_there_is_no_traffic() -> None:
    simulation = simulation_of(KINDS["network load balancer"])
    rollback = simulation.run_alarm_rollback(OUTAGE)
    evidence = gather_evidence(rollback, simulation.ports)
    assert evidence.traffic is None
    assert evidence.traffic_remark == "the service has a network load balancer, which counts no requests"
