"""Drills from their request to the end: what they change, what refuses them, and what they leave behind."""

from datetime import timedelta

import pytest
from simulations.drills import (
    ALLOWED,
    drill_request,
    last_drill,
    start_database_drill_simulation,
    start_drill_simulation,
)
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import Simulation
from support.builders import NOW, SERVICE, image

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Pause
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.settings.policy import Policy
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.intents.caused import record_caused_deployment
from rollback.promotion.promote import record_running
from rollback.workflow.janitor.sweep_services import sweep

SERVICE_SCENARIOS = ("service", "emergency")


@pytest.mark.parametrize("scenario", SERVICE_SCENARIOS)
def test_a_drill_restarts_the_service_once_and_leaves_it_as_it_was(scenario: str) -> None:
    simulation = start_drill_simulation()
    before, configuration = simulation.describe_service(), simulation.services.deployment_configuration
    drill = simulation.run(drill_request(scenario))
    after = simulation.describe_service()
    assert drill.outcome is Outcome.SUCCEEDED
    assert after.primary.id != before.primary.id
    assert after.primary.definition_arn == before.primary.definition_arn
    assert after.desired_count == before.desired_count
    assert simulation.services.deployment_configuration == configuration
    assert [call for call in simulation.services.calls if call[1].get("force_new_deployment")] == [
        (
            "update",
            {
                "definition_arn": before.primary.definition_arn,
                "deployment_configuration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}},
                "force_new_deployment": True,
            },
        )
    ]


@pytest.mark.parametrize("scenario", SERVICE_SCENARIOS)
def test_a_drill_leaves_no_open_obligation_and_no_lease(scenario: str) -> None:
    simulation = start_drill_simulation()
    drill = simulation.run(drill_request(scenario))
    assert drill.open_obligations() == ()
    assert simulation.ledger.obligations(SERVICE).items == ()
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.ledger.pending(SERVICE).items == ()


def test_a_drill_of_an_emergency_reaches_ecs_in_one_invocation() -> None:
    simulation = start_drill_simulation()
    simulation.admit(drill_request("emergency"))
    assert simulation.changes() == ["update"]


def test_a_drill_changes_the_state_of_no_release() -> None:
    simulation = start_drill_simulation()
    states = {version: simulation.state_of(version) for version in ("v1", "v2")}
    simulation.run(drill_request())
    assert {version: simulation.state_of(version) for version in ("v1", "v2")} == states


@pytest.mark.parametrize("scenario", [RollbackType.SERVICE, RollbackType.EMERGENCY])
def test_a_drill_records_its_recovery_time_by_phase(scenario: RollbackType) -> None:
    simulation = start_drill_simulation()
    drill = simulation.run(drill_request(scenario))
    record = last_drill(simulation)
    assert record is not None
    assert (record.rollback_id, record.scenario) == (drill.id, scenario)
    assert set(record.seconds_by_phase) == {"decide", "act", "verify"}
    assert min(record.seconds_by_phase.values()) >= 0
    assert record.recovery_seconds > 0


def test_a_drill_never_delays_the_next_automatic_rollback() -> None:
    simulation = start_drill_simulation()
    simulation.run(drill_request())
    simulation.ship("v3", hours_ago=0.2)
    simulation.healthy_versions = {"v1", "v2"}
    rollback = simulation.run_alarm_rollback()
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v2"))


def test_a_drill_is_no_change_in_the_index() -> None:
    simulation = start_drill_simulation()
    simulation.run(drill_request())
    assert simulation.ledger.changes(SERVICE, NOW - timedelta(days=1)).items == ()


def test_a_failed_deployment_of_a_drill_starts_no_rollback() -> None:
    simulation = start_drill_simulation()
    drill = simulation.admit(drill_request())
    while "update" not in simulation.changes():
        drill = simulation.run_due_step(drill)
    caused = simulation.ledger.caused_deployment(SERVICE)
    assert caused is not None
    assert caused.rollback_id == drill.id


def test_a_deployment_of_a_drill_begins_no_bake() -> None:
    simulation = start_drill_simulation()
    simulation.run(drill_request())
    cursor = record_running(SERVICE, simulation.ports)
    assert (cursor.next, simulation.ledger.bake(SERVICE)) == ("done", None)


def refused_reason(simulation: Simulation, scenario: str = "service") -> str:
    drill = simulation.run(drill_request(scenario))
    assert drill.outcome is Outcome.REFUSED
    assert simulation.changes() == []
    return drill.reason


@pytest.mark.parametrize("scenario", SERVICE_SCENARIOS)
@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
def test_an_alarm_in_alarm_refuses_a_drill(scenario: str, alarm: str) -> None:
    simulation = start_drill_simulation()
    simulation.alarms.fire(alarm, NOW)
    assert alarm in refused_reason(simulation, scenario)


def test_a_silent_cloudwatch_refuses_a_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_drill_simulation()

    def silent(names: tuple[str, ...]) -> dict[str, str]:
        raise ExternalServiceError(f"no answer about {names}")

    monkeypatch.setattr(simulation.alarms, "states", silent)
    assert "not checked" in refused_reason(simulation)


def test_a_missing_alarm_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    del simulation.alarms.others[OUTAGE]
    assert f"{OUTAGE} not found" in refused_reason(simulation)


def test_a_deployment_in_flight_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    simulation.services.deploy(simulation.arns["v2"])
    simulation.services.calls.clear()
    assert "wait until the deployment has ended" in refused_reason(simulation)


def test_an_unproven_release_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    simulation.ship("v3", ReleaseState.CANDIDATE)
    assert "v3 is candidate" in refused_reason(simulation)


def test_a_young_release_refuses_a_drill_since_an_alarm_could_roll_it_back() -> None:
    simulation = start_drill_simulation()
    simulation.ship("v3", ReleaseState.PROMOTED, hours_ago=1)
    assert "correlation window" in refused_reason(simulation)


def test_a_missing_rollback_target_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    simulation.ledger.put_standing_plan(plan.model_copy(update={"targets": plan.targets[:1]}))
    assert "no release to roll back to" in refused_reason(simulation)


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ({"minimumHealthyPercent": 50}, "minimumHealthyPercent is 50"),
        ({"maximumPercent": 100}, "maximumPercent is 100"),
    ],
)
def test_a_deployment_that_would_cost_capacity_refuses_a_drill(configuration: dict[str, int], reason: str) -> None:
    simulation = start_drill_simulation()
    simulation.services.deployment_configuration = {**simulation.services.deployment_configuration, **configuration}
    assert reason in refused_reason(simulation)


def test_a_pause_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    simulation.ledger.put_pause(Pause(service=SERVICE, since=NOW, by="ada", reason="maintenance"))
    assert "paused" in refused_reason(simulation)


def test_a_service_at_zero_tasks_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    simulation.services.desired_count = 0
    simulation.services.tick()
    simulation.services.calls.clear()
    assert "the desired count is 0" in refused_reason(simulation)


def test_a_moved_tag_refuses_a_drill() -> None:
    simulation = start_drill_simulation()
    tag = f"{image('v2').partition('@')[0]}:latest"
    simulation.images.push(tag, image("v2").partition("@")[2])
    raw = simulation.services._definitions[simulation.arns["v2"]]
    raw["containerDefinitions"][0]["image"] = tag
    simulation.services.run(simulation.arns["v2"], created_at=NOW - timedelta(hours=48))
    simulation.services.calls.clear()
    simulation.images.push(tag, image("v3").partition("@")[2])
    assert "another image" in refused_reason(simulation)


def test_an_open_rollback_suppresses_a_drill() -> None:
    simulation = start_drill_simulation()
    simulation.ship("v3")
    simulation.healthy_versions = {"v1", "v2"}
    rollback = simulation.admit(simulation.fire_alarm(DEGRADED))
    drill = simulation.admit(drill_request(), "drill")
    assert (drill.outcome, rollback.id in drill.reason) == (Outcome.SUPPRESSED, True)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_drill_waits_for_a_rollback_whose_lease_expired() -> None:
    simulation = start_drill_simulation()
    simulation.ship("v3")
    rollback = simulation.admit(simulation.fire_alarm(DEGRADED))
    simulation.clock.pass_time(minutes=60)
    drill = simulation.admit(drill_request(), "drill")
    assert (drill.outcome, rollback.id in drill.reason) == (Outcome.SUPPRESSED, True)
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == rollback.id


@pytest.mark.parametrize(
    ("drills", "policy", "reason"),
    [
        (DrillSettings(), Policy(), "allow_production_drills"),
        (ALLOWED, Policy(mode="observe"), "observe"),
    ],
)
def test_the_settings_refuse_a_drill_before_anything_is_recorded(
    drills: DrillSettings, policy: Policy, reason: str
) -> None:
    simulation = start_drill_simulation()
    settings = simulation.ports.settings.model_copy(update={"drills": drills, "policy": policy})
    simulation.replace(settings=settings)
    for scenario in SERVICE_SCENARIOS:
        with pytest.raises(InvalidRequest, match=reason):
            simulation.admit(drill_request(scenario))
    assert list(simulation.ledger.history(SERVICE)) == []


def test_a_drill_of_the_database_needs_a_database() -> None:
    with pytest.raises(InvalidRequest, match=r"database\.branch_id"):
        start_drill_simulation().admit(drill_request("database"))


def test_tasks_that_do_not_start_fail_a_drill_and_page() -> None:
    simulation = start_drill_simulation()
    drill = simulation.admit(drill_request())
    simulation.services.behaviours[simulation.arns["v2"]] = "crashing"
    drill = simulation.run_to_end(drill)
    assert drill.outcome is Outcome.FAILED
    assert simulation.running() == image("v2")
    assert last_drill(simulation) is None
    assert "A rollback may fail in the same way" in simulation.pages()[0]
    assert not any("emergency --service" in page for page in simulation.pages())


def test_a_refused_drill_pages_nobody() -> None:
    simulation = start_drill_simulation()
    simulation.alarms.fire(DEGRADED, NOW)
    simulation.run(drill_request())
    assert simulation.severities() == ["info"]
    assert simulation.notifications.sent[0].subject.startswith("Drill:")


@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
@pytest.mark.parametrize("scenario", SERVICE_SCENARIOS)
@pytest.mark.parametrize("rounds", range(6))
def test_an_alarm_takes_a_drill_over_at_any_moment(scenario: str, alarm: str, rounds: int) -> None:
    simulation = start_drill_simulation()
    configuration = simulation.services.deployment_configuration
    drill = simulation.admit(drill_request(scenario), "drill")
    for _ in range(rounds):
        if simulation.read(drill).outcome is None:
            drill = simulation.run_due_step(drill)
    if simulation.read(drill).outcome is not None:
        return
    rollback = simulation.admit(simulation.fire_alarm(alarm), "alarm")
    assert rollback.admitted_at is not None
    assert rollback.continues_rollback_id == drill.id
    rollback = simulation.run_to_end(rollback)
    drill = simulation.run_to_end(simulation.read(drill))
    # The release is proven and old, so the alarm has another cause: the drill is over, and nothing is rolled back.
    assert (rollback.outcome, simulation.running()) == (Outcome.SUPPRESSED, image("v2"))
    assert (drill.outcome, drill.taken_over_by) == (Outcome.ABORTED, rollback.id)
    assert simulation.services.deployment_configuration == configuration
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.ledger.obligations(SERVICE).items == ()


def test_an_operator_takes_a_drill_over_without_force_and_rolls_back() -> None:
    simulation = start_drill_simulation()
    drill = simulation.admit(drill_request(), "drill")
    while "update" not in simulation.changes():
        drill = simulation.run_due_step(drill)
    rollback = simulation.run({"reason": "customers see errors"}, "operator")
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v1"))
    drill = simulation.run_to_end(simulation.read(drill))
    assert (drill.outcome, drill.taken_over_by) == (Outcome.ABORTED, rollback.id)


def test_a_late_call_of_a_drill_does_not_stop_the_rollback_that_took_over() -> None:
    simulation = start_drill_simulation()
    drill = simulation.run_due_step(simulation.admit(drill_request(), "drill"))
    rollback = simulation.run_due_step(simulation.admit({"reason": "customers see errors"}, "operator"))
    view, now = simulation.describe_service(), simulation.clock.now()
    record_caused_deployment(SERVICE, view, now, simulation.ports, rollback_id=drill.id)
    simulation.services.deploy(simulation.arns["v2"])  # the drill's function sends its restart only now
    rollback = simulation.run_to_end(rollback)
    assert (rollback.outcome, simulation.running()) == (Outcome.SUCCEEDED, image("v1"))


def test_a_newer_release_of_the_team_ends_a_drill_and_stays() -> None:
    simulation = start_drill_simulation()
    drill = simulation.admit(drill_request())
    while "update" not in simulation.changes():
        drill = simulation.run_due_step(drill)
    simulation.clock.pass_time(seconds=30)
    arn = simulation.services.register_release(simulation.services._definitions[simulation.arns["v1"]], "team")
    simulation.services.deploy(arn)
    drill = simulation.run_to_end(drill)
    assert drill.outcome is Outcome.SUPERSEDED
    assert simulation.describe_service().primary.definition_arn == arn


def test_a_deployment_of_the_same_release_before_the_restart_ends_a_drill_without_a_restart() -> None:
    simulation = start_drill_simulation()
    drill = simulation.run_due_step(simulation.admit(drill_request()))
    simulation.services.deploy(simulation.arns["v2"])
    simulation.services.calls.clear()
    drill = simulation.run_to_end(drill)
    assert (drill.outcome, simulation.changes(), simulation.pages()) == (Outcome.ABORTED, [], [])
    assert last_drill(simulation) is None


def test_the_sweep_writes_the_age_of_the_last_drill() -> None:
    simulation = start_drill_simulation()
    sweep(simulation.ports)
    assert simulation.metrics.drill_days == {SERVICE: ALLOWED.max_age_days + 1}
    simulation.run(drill_request())
    simulation.clock.pass_time(days=3)
    sweep(simulation.ports)
    assert simulation.metrics.drill_days[SERVICE] == pytest.approx(3, abs=0.01)


def test_without_a_schedule_no_age_is_written() -> None:
    simulation = start_drill_simulation()
    drills = ALLOWED.model_copy(update={"schedule": None})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"drills": drills}))
    sweep(simulation.ports)
    assert simulation.metrics.drill_days == {}


def test_a_drill_of_the_database_checks_the_restore_point_on_a_preview_only() -> None:
    simulation = start_database_drill_simulation()
    drill = simulation.run(drill_request("database"))
    assert drill.outcome is Outcome.SUCCEEDED
    assert drill.database is not None
    assert drill.database.database_outcome is DatabaseOutcome.REHEARSED
    assert simulation.neon.calls == ["create_branch", "delete_branch"]
    assert [branch.name for branch in simulation.neon.branches()] == ["main"]
    assert simulation.changes() == []
    assert drill.trigger is Trigger.DRILL
    assert drill.open_obligations() == ()


def test_a_drill_of_the_database_needs_no_approval() -> None:
    simulation = start_database_drill_simulation(approval=ApprovalPolicy())
    assert simulation.run(drill_request("database")).outcome is Outcome.SUCCEEDED


def test_a_drill_of_the_database_without_a_restore_point_is_refused() -> None:
    simulation = start_database_drill_simulation(checkpoint=False)
    drill = simulation.run(drill_request("database"))
    assert (drill.outcome, simulation.neon.calls) == (Outcome.REFUSED, [])


def test_an_alarm_takes_a_drill_of_the_database_over_and_its_preview_is_deleted() -> None:
    simulation = start_database_drill_simulation()
    drill = simulation.admit(drill_request("database"), "drill")
    while "create_branch" not in simulation.neon.calls:
        drill = simulation.run_due_step(drill)
    simulation.neon.settle()
    rollback = simulation.run_alarm_rollback(DEGRADED, "alarm")
    assert rollback.continues_rollback_id == drill.id
    assert ObligationKind.PREVIEW_BRANCH not in {obligation.kind for obligation in rollback.obligations}
    drill = simulation.run_to_end(simulation.read(drill))
    simulation.neon.settle()
    assert (drill.outcome, drill.taken_over_by) == (Outcome.ABORTED, rollback.id)
    assert [branch.name for branch in simulation.neon.branches()] == ["main"]
    assert simulation.ledger.obligations(SERVICE).items == ()


def test_a_full_rollback_takes_a_drill_of_the_database_over_and_restores_after_its_preview_is_gone() -> None:
    simulation = start_database_drill_simulation()
    drill = simulation.admit(drill_request("database"), "drill")
    while "create_branch" not in simulation.neon.calls:
        drill = simulation.run_due_step(drill)
    simulation.neon.settle()
    rollback = simulation.admit({"type": "full", "reason": "customers lose data"}, "operator")
    for _ in range(200):
        rollback, drill = simulation.read(rollback), simulation.read(drill)
        if rollback.concluded_at is not None:
            break
        for document in (rollback, drill):
            if document.concluded_at is None:
                simulation.run_due_step(document)
            simulation.neon.settle()
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert drill.outcome is Outcome.ABORTED
    assert simulation.neon.rows("br-1") == [1, 2]
    assert not [branch for branch in simulation.neon.branches() if branch.name.startswith("rollback-preview")]


def test_a_newer_release_of_the_team_ends_a_drill_of_the_database() -> None:
    simulation = start_database_drill_simulation()
    drill = simulation.admit(drill_request("database"))
    while "create_branch" not in simulation.neon.calls:
        drill = simulation.run_due_step(drill)
    simulation.clock.pass_time(seconds=30)
    simulation.services.deploy(simulation.arns["v1"])
    simulation.neon.settle()
    drill = simulation.run_to_end(drill)
    simulation.neon.settle()
    assert drill.outcome is Outcome.SUPERSEDED
    assert [branch.name for branch in simulation.neon.branches()] == ["main"]
    assert simulation.pages() == []
