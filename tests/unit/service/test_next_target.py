"""Choice of the next target: ECS must be able to run it, and it is tried before all tasks are stopped."""

import pytest
from fakes.aws.ecs_services import FakeServices
from simulations.fake_ports import OUTAGE
from simulations.service import PROMOTED, QUARANTINED, Simulation, alarm_event
from support.builders import SERVICE, image

from rollback.check import Check, Verdict
from rollback.domain.database.schema_verdict import Compatibility, JournalRelation, SchemaVerdict
from rollback.domain.escalation import EscalationEnd, EscalationLevel, ServiceHealth, TargetSwitch, next_escalation
from rollback.domain.rollback import Outcome
from rollback.domain.target_readiness import NOT_KNOWN, Existence, check_existence, is_ready
from rollback.errors import ExternalServiceError
from rollback.operations.unfence import list_obligations_of_operator
from rollback.promotion.readiness import prepare_standing_plan
from rollback.service import next_target

PASS = Check.passed("a", "")
WARN = Check.warned("b", "")
FAIL = Check.failed("c", "gone")
UNCHECKED = Check.warned("d", "not checked", evidence={NOT_KNOWN: "d"})


@pytest.mark.parametrize(
    ("checks", "ready"),
    [
        ((), None),  # an older version of the code made no check
        ((PASS, WARN), True),
        ((PASS, UNCHECKED), None),
        ((UNCHECKED, FAIL), False),
    ],
)
def test_a_target_is_ready_not_ready_or_of_unknown_readiness(checks: tuple[Check, ...], ready: bool | None) -> None:
    assert is_ready(checks) is ready


def test_an_image_that_was_not_checked_is_never_reported_as_present() -> None:
    result = check_existence("x", {"fs-1": Existence.NOT_ASKED}, "")
    assert (result.verdict, result.reason) == (Verdict.SKIPPED, "not checked: fs-1")
    combined_result = check_existence("x", {"a": Existence.GONE, "b": Existence.HIDDEN}, "put it back")
    assert (combined_result.verdict, combined_result.reason) == (
        Verdict.FAIL,
        "gone: a; can't be looked up: b; put it back",
    )


# The choice


def simulation_with_two_promoted(**parts: object) -> Simulation:
    """Return a simulation in which v0 and v1 are promoted and the bad v2 runs."""
    simulation = Simulation(**parts)  # type: ignore[arg-type]
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    return simulation


def usable_versions(simulation: Simulation) -> list[str]:
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    return [
        target.release.version
        for target in plan.usable_targets(simulation.ledger.releases(SERVICE).__next__().fingerprint)
    ]


def test_a_rollback_would_take_the_newest_ready_target() -> None:
    simulation = simulation_with_two_promoted()
    assert usable_versions(simulation) == ["v1", "v0"]
    simulation.images.missing.add(image("v1"))
    assert usable_versions(simulation) == ["v0"]
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    check = next(check for check in plan.readiness if check.name == "usable-target-exists")
    assert (check.verdict, "a rollback would take v0" in check.reason) == (Verdict.WARN, True)
    assert not plan.is_ready, "the last known good itself can't be gone back to, and an operator has to know"


def test_a_target_of_unknown_readiness_comes_after_the_ready_ones() -> None:
    simulation = simulation_with_two_promoted()
    exists, missing_image = simulation.images.exists, image("v1")

    def silent_about_v1(image: str) -> bool | None:
        if image == missing_image:
            raise ExternalServiceError("ECR: no answer")
        return exists(image)

    simulation.images.exists = silent_about_v1  # type: ignore[method-assign]
    assert usable_versions(simulation) == ["v0", "v1"]


def test_further_releases_are_checked_if_the_newest_releases_are_not_ready() -> None:
    simulation = Simulation()
    for number in range(5):
        simulation.ship(f"v{number}", PROMOTED, hours_ago=96 - number)
    simulation.ship("v9")
    simulation.images.missing |= {image("v4"), image("v3"), image("v2")}
    assert usable_versions(simulation) == ["v1", "v0"]


def test_an_emergency_says_which_release_it_skips_and_why() -> None:
    simulation = simulation_with_two_promoted()
    simulation.images.missing.add(image("v1"))
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.healthy_versions = {"v0"}
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.running() == image("v0")
    reason = simulation.check(rollback, "target-is-ready").reason
    assert "v1 is skipped for v0" in reason
    assert image("v1") in reason


def test_an_emergency_without_a_ready_target_takes_the_last_known_good_and_reports_why_it_is_not_ready() -> None:
    """The image may have been pushed again since the last check, and there is no other target."""
    simulation = simulation_with_two_promoted()
    simulation.images.missing |= {image("v0"), image("v1")}
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.images.missing.clear()
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v1"))
    assert "v1 was not ready" in simulation.check(rollback, "target-is-ready").reason


def test_a_service_rollback_skips_and_names_a_release_whose_image_was_deleted() -> None:
    simulation = simulation_with_two_promoted()
    simulation.images.missing.add(image("v1"))
    simulation.healthy_versions = {"v0"}
    rollback = simulation.run(alarm_event())
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v0"))
    reason = simulation.check(rollback, "target-is-ready").reason
    assert "v1 is skipped" in reason
    assert image("v1") in reason
    good = simulation.services.definition(f"{'macro-ai-production-task'}-last-known-good")
    assert good is None or good["containerDefinitions"][0]["image"] == image("v1"), "decision 2: a stand-in is none"


def test_a_version_that_an_operator_names_has_no_substitute() -> None:
    simulation = simulation_with_two_promoted()
    simulation.images.missing.add(image("v1"))
    rollback = simulation.run({"service": SERVICE, "target_version": "v1"})
    assert rollback.outcome is Outcome.REFUSED
    assert image("v1") in rollback.reason
    assert simulation.changes() == []


def test_a_service_rollback_without_a_substitute_reports_why_its_target_is_not_ready() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.images.missing.add(image("v1"))
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.images.missing.clear()
    rollback = simulation.run(alarm_event())
    assert rollback.outcome is Outcome.SUCCEEDED
    assert simulation.check(rollback, "target-is-ready").reason.startswith("v1 was not ready at")


# Escalation

NOTHING = ServiceHealth(is_target_running=False, healthy_targets=0, has_healthy_target=False, desired_count=2)
OLD_TASKS = ServiceHealth(is_target_running=False, healthy_targets=1, has_healthy_target=True, desired_count=2)
HALF_HEALTHY = ServiceHealth(is_target_running=True, healthy_targets=1, has_healthy_target=True, desired_count=2)
UNKNOWN_HEALTH_AND_STARTS_NO_TASK = ServiceHealth(
    is_target_running=False, healthy_targets=None, has_healthy_target=None, desired_count=2
)


@pytest.mark.parametrize(
    ("current", "service_health", "next_level"),
    [
        (EscalationLevel.SERVICE, NOTHING, EscalationLevel.EMERGENCY),
        (EscalationLevel.EMERGENCY, NOTHING, TargetSwitch.NEXT_TARGET),
        (EscalationLevel.EMERGENCY, OLD_TASKS, TargetSwitch.NEXT_TARGET),
        (EscalationLevel.EMERGENCY, UNKNOWN_HEALTH_AND_STARTS_NO_TASK, TargetSwitch.NEXT_TARGET),
        (EscalationLevel.EMERGENCY, HALF_HEALTHY, EscalationEnd.NO_LEVEL_ALLOWED),  # some tasks serve
        (EscalationLevel.RESTART_FROM_ZERO, NOTHING, EscalationEnd.NO_LEVEL_ALLOWED),
    ],
)
def test_another_target_comes_before_all_tasks_are_stopped(
    current: EscalationLevel, service_health: ServiceHealth, next_level: EscalationLevel | TargetSwitch | EscalationEnd
) -> None:
    assert next_escalation(current, service_health, "allow", has_another_target=True) is next_level


class StartsOnly(FakeServices):
    """Let only tasks of these images start."""

    starts: frozenset[str] = frozenset()

    def tick(self) -> None:
        for arn, task_definition in self._definitions.items():
            is_good = task_definition["containerDefinitions"][0]["image"] in self.starts
            self.behaviours[arn] = "healthy" if is_good else "crashing"
        super().tick()


def where_only_starts(simulation: Simulation, *versions: str) -> None:
    simulation.services.__class__ = StartsOnly
    simulation.services.starts = frozenset(map(image, versions))  # type: ignore[attr-defined]
    simulation.healthy_versions = set(versions)


def test_the_next_target_is_tried_once_the_last_known_good_does_not_start() -> None:
    simulation = simulation_with_two_promoted()
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation, "v0")
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v0"))
    assert rollback.service is not None
    assert [(attempt.escalation_level, attempt.target) for attempt in rollback.service.attempts] == [
        (EscalationLevel.EMERGENCY, "v1")
    ]
    assert all(arguments.get("desired_count", 1) > 0 for _, arguments in simulation.services.calls), (
        "nothing was stopped for it"
    )
    assert not any(arguments.get("force_new_deployment") for _, arguments in simulation.services.calls[-2:])
    assert "Tried emergency to v1" in simulation.notifications.sent[-1].message
    assert simulation.state_of("v1") == "promoted"
    assert simulation.state_of("v2") == "quarantined"
    assert list_obligations_of_operator(SERVICE, simulation.ports) == []


def test_each_target_is_tried_once_before_all_tasks_are_stopped() -> None:
    simulation = simulation_with_two_promoted()
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.FAILED
    assert rollback.service is not None
    attempts = [(str(attempt.escalation_level), attempt.target) for attempt in rollback.service.attempts]
    assert attempts == [("emergency", "v1"), ("emergency", "v0"), ("restart_from_zero", "v0")]


@pytest.mark.parametrize("state", [QUARANTINED, "suspect"])
def test_a_release_that_is_no_longer_promoted_is_no_next_target(state: object) -> None:
    simulation = Simulation()
    simulation.ship("v0", state, hours_ago=96)  # type: ignore[arg-type]
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation, "v0")
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.service is not None
    assert {attempt.target for attempt in rollback.service.attempts} == {"v1"}


def test_a_target_that_is_known_not_to_be_ready_is_not_tried() -> None:
    simulation = simulation_with_two_promoted()
    simulation.images.missing.add(image("v0"))
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.service is not None
    assert [attempt.target for attempt in rollback.service.attempts] == ["v1", "v1"]


def test_a_rollback_to_an_operators_version_deploys_no_other_version() -> None:
    simulation = simulation_with_two_promoted()
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation, "v0")
    rollback = simulation.run({"type": "emergency", "target_version": "v1"})
    assert rollback.service is not None
    assert {attempt.target for attempt in rollback.service.attempts} == {"v1"}


def test_a_substitute_incompatible_with_the_live_schema_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 12: a breaking schema refuses. The refusal names the last known good."""
    breaking = SchemaVerdict(
        compatibility=Compatibility.BREAKING, reason="a column is gone", journal=JournalRelation.AHEAD
    )
    monkeypatch.setattr(next_target, "schema_verdict", lambda *given: breaking)
    simulation = simulation_with_two_promoted()
    simulation.images.missing.add(image("v1"))
    rollback = simulation.run(alarm_event())
    assert (rollback.outcome, simulation.changes()) == (Outcome.REFUSED, [])
    assert image("v1") in rollback.reason


def test_escalation_takes_only_a_next_target_that_works_with_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = SchemaVerdict(compatibility=Compatibility.UNKNOWN, reason="no journal", journal=JournalRelation.ABSENT)
    monkeypatch.setattr(next_target, "schema_verdict", lambda *given: verdict)
    simulation = simulation_with_two_promoted()
    prepare_standing_plan(SERVICE, simulation.ports)
    where_only_starts(simulation, "v0")
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.service is not None
    assert {attempt.target for attempt in rollback.service.attempts} == {"v1"}
