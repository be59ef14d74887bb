"""Rule 12 in an emergency: the standing plan has the verdict on the schema, so that ECS and the ledger suffice."""

import json
import shlex
from typing import Any

import pytest
from simulations.fake_ports import OUTAGE
from simulations.migrations import ADDS, BEGAN, BRANCH, DROPS, FIRST, MigrationSimulation, migration, users
from simulations.service import Simulation, start_simulation
from support.builders import SERVICE, image
from support.stand_ins import RecordingPort, UnavailablePort

from rollback.check import Check, Verdict
from rollback.database.observation.observe import observe
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.database.migration_impact import Impact, breaking
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.request import RollbackType, parse_request
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.operations.checkpoint import checkpoint
from rollback.promotion.promote import record_deployment
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow.route import Step, next_step

FULL = Policy(on_incompatible_schema="full")


def schema_check(simulation: Simulation, rollback: Rollback) -> Check:
    return simulation.check(rollback, "schema-is-compatible")


def simulation_with_dropped_column(**parts: Any) -> MigrationSimulation:
    """Return a simulation in which v2's migration dropped a column that v1 reads."""
    return make_simulation(users("id"), DROPS, **parts)


def simulation_with_added_column(**parts: Any) -> MigrationSimulation:
    return make_simulation(users("id", "name", "mail"), ADDS, **parts)


def make_simulation(structure: Any, migration: Any, **parts: Any) -> MigrationSimulation:
    simulation = MigrationSimulation(**parts)
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    simulation.deploy_release("v2", structure, FIRST, migration)
    simulation.services.calls.clear()
    return simulation


def test_an_emergency_to_a_breaking_schema_is_refused_and_offers_the_full_rollback() -> None:
    simulation = simulation_with_dropped_column()
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert (rollback.outcome, simulation.services.calls) == (Outcome.REFUSED, [])
    assert schema_check(simulation, rollback).verdict is Verdict.FAIL
    (page,) = simulation.pages()
    assert "public.users.name is gone" in page
    lines = [line.strip() for line in page.splitlines()]
    command = next(line for line in lines if line.startswith("rollback start"))
    execution_input = next(line for line in lines if line.startswith("{"))
    words = shlex.split(command)
    assert words[:4] == ["rollback", "start", "production", "--type"]
    assert words[words.index("--target-version") + 1] == "v1"
    assert parse_request(json.loads(execution_input), (SERVICE,)).type is RollbackType.FULL


def test_an_emergency_onto_an_extended_schema_deploys_in_the_first_invocation() -> None:
    simulation = simulation_with_added_column()
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert first_rollback.has_acted
    assert simulation.running() == image("v1")
    assert schema_check(simulation, first_rollback).verdict is Verdict.PASS


def test_an_emergency_before_any_observation_of_the_database_is_refused() -> None:
    simulation = MigrationSimulation()
    simulation.start_versioned_deployment("v2")
    for _ in range(3):
        simulation.pass_time(seconds=20)
    record_deployment(BEGAN, simulation.ports)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.REFUSED
    assert "has not been observed yet" in rollback.reason


def test_an_observation_from_before_the_deployment_is_no_evidence() -> None:
    simulation = MigrationSimulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    for _ in range(3):
        simulation.pass_time(seconds=20)
    rollback = simulation.run_alarm_rollback(OUTAGE)  # no event of the deployment has come
    assert rollback.outcome is Outcome.REFUSED
    assert "last observed on 2026-03-01 03:00 UTC, before" in rollback.reason


@pytest.mark.parametrize("shipped", [migration(3, breaking("users: drop column name")), migration(3)])
def test_only_additive_migrations_allow_an_emergency_after_an_unobserved_checkpoint(shipped: ShippedMigration) -> None:
    """v3's pipeline has migrated, and its deployment has not begun: v2 still runs, and its alarm is in ALARM."""
    simulation = simulation_with_added_column()
    simulation.pass_time(minutes=1)
    checkpoint(SERVICE, "v3", (FIRST, ADDS, shipped), simulation.ports)
    simulation.pass_time(minutes=1)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    if shipped.impact.impact is Impact.BREAKING:
        assert (rollback.outcome, simulation.services.calls) == (Outcome.REFUSED, [])
        assert "a pipeline may have applied 0003_it since the last observation" in rollback.reason
    else:
        assert rollback.outcome is Outcome.SUCCEEDED


def test_an_operator_may_force_an_emergency_onto_a_breaking_schema() -> None:
    simulation = simulation_with_dropped_column()
    forced = simulation.run({"type": "emergency", "force": True, "reason": "v1 copes"})
    assert forced.outcome is Outcome.SUCCEEDED
    assert schema_check(simulation, forced).verdict is Verdict.FAIL


def test_an_emergency_without_a_database_skips_the_schema_check() -> None:
    simulation = start_simulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert first_rollback.has_acted
    assert schema_check(simulation, first_rollback).verdict is Verdict.SKIPPED


@pytest.mark.parametrize("make", [simulation_with_dropped_column, simulation_with_added_column])
def test_the_schema_verdict_comes_from_the_standing_plan(make: Any) -> None:
    simulation = make()
    ledger = RecordingPort(simulation.ledger)
    simulation.replace(ledger=ledger)
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert ledger.called.count("standing_plan") <= 2  # the plan, and the definition registered for it
    assert not {"releases", "observation", "schema"} & set(ledger.called)
    assert ledger.called.count("restore_points") <= 1  # whether a pipeline made a checkpoint since the last observation


def test_an_emergency_acts_although_neon_postgres_and_secrets_do_not_answer() -> None:
    simulation = simulation_with_added_column()
    event = simulation.fire_alarm(OUTAGE)
    unavailable_ports = (
        "neon",
        "sql",
        "secrets",
        "target_groups",
        "scaling",
        "stacks",
        "images",
        "alarms",
        "http",
        "workflow",
    )
    simulation.replace(**{part: UnavailablePort(part) for part in unavailable_ports})
    first_rollback = simulation.admit(event)
    assert first_rollback.has_acted
    assert next_step(simulation.run_until(first_rollback, until=Step.VERIFY)) is Step.VERIFY


def test_an_operator_s_version_is_judged_from_the_ledger() -> None:
    simulation = simulation_with_dropped_column()
    plan = simulation.plan()
    simulation.ledger.replace_standing_plan(plan, plan.without_target(simulation.release("v1").fingerprint))
    refused_rollback = simulation.run({"type": "emergency", "target_version": "v1"})
    assert refused_rollback.outcome is Outcome.REFUSED
    assert "public.users.name is gone" in refused_rollback.reason


def test_an_emergency_escalates_to_a_planned_full_rollback_if_the_environment_says_so() -> None:
    simulation = simulation_with_dropped_column(policy=FULL)
    no_approval = ApprovalPolicy(required_for=())
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"approval": no_approval}))
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert (first_rollback.request.type, first_rollback.plan, next_step(first_rollback)) == (
        RollbackType.FULL,
        None,
        Step.PLAN,
    )
    assert simulation.services.calls == []
    assert schema_check(simulation, first_rollback).verdict is Verdict.WARN
    assert "without its database, which is rolled back too" in first_rollback.reason
    planned_rollback = simulation.run_due_step(first_rollback)
    assert planned_rollback.plan is not None
    assert planned_rollback.plan.database is not None
    assert planned_rollback.plan.database.point is not None
    began = next(point for point in simulation.ledger.restore_points(BRANCH) if point.by == "checkpoint")
    assert planned_rollback.plan.database.point.lsn == began.lsn
    assert next_step(planned_rollback) is Step.DATABASE


def test_an_emergency_does_not_escalate_if_the_target_fits() -> None:
    simulation = simulation_with_added_column(policy=FULL)
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert (first_rollback.request.type, first_rollback.has_acted) == (RollbackType.EMERGENCY, True)


def test_an_escalated_emergency_waits_for_the_required_approval() -> None:
    simulation = simulation_with_dropped_column(policy=Policy(on_incompatible_schema="full"))
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.REJECTED
    assert "no person decided" in rollback.reason
    assert simulation.services.calls == []


def test_an_emergency_that_resumes_a_rollback_keeps_its_schema_check() -> None:
    """A refusal in the middle of the rollback would leave it half done."""
    simulation = simulation_with_added_column()
    first_rollback = simulation.admit(simulation.fire_alarm(f"macro-ai-production-{SERVICE}-degraded"))
    first_rollback = simulation.run_until(first_rollback, until=Step.SERVICE)
    while not simulation.changes():
        first_rollback = simulation.run_due_step(first_rollback)
    simulation.apply_migrations(users("id"), FIRST, DROPS)
    plan = simulation.plan()
    blocked = plan.targets[0].schema_verdict
    assert blocked is not None
    breaking_verdict = blocked.model_copy(update={"compatibility": "breaking", "reason": "seen in between"})
    targets = tuple(target.model_copy(update={"schema_verdict": breaking_verdict}) for target in plan.targets)
    simulation.ledger.replace_standing_plan(plan, plan.model_copy(update={"targets": targets}))
    second_rollback = simulation.admit(simulation.fire_alarm(OUTAGE), "execution-2")
    assert second_rollback.continues_rollback_id == first_rollback.id
    assert second_rollback.outcome is None
    assert schema_check(simulation, second_rollback).verdict is Verdict.PASS
