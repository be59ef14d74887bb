"""A rollback that a pipeline's failed health checks start: guarded like an automatic trigger, once for a deployment."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from fakes.identity import FakeIdentityProofs
from simulations.database import DatabaseSimulation
from simulations.service import PROMOTED, Simulation, start_simulation
from support.builders import NOW, SERVICE, image

from rollback.approval.decide import take_decision
from rollback.check import Check
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import PROOF, purpose_of_start
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.health_check import build_input
from rollback.domain.operator import Operator
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.operations.pause_abort_unlock import pause
from rollback.reports.report import message
from rollback.workflow import janitor
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import run_step

PIPELINE = "arn:aws:sts::123456789012:assumed-role/Deploy/job-7"
FAILED = (Check.failed("endpoint-answers /health", "answered 500"),)


def request_of(simulation: Simulation, at: datetime = NOW, deployment: str | None = None) -> dict[str, Any]:
    deployment_id = deployment or simulation.describe_service().primary.id
    return build_input(SERVICE, deployment_id, at, FAILED, "ci@runner")


def simulation_with_numbered_deployments() -> Simulation:
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    return simulation


def gated_simulation(*, four_eyes: bool = True) -> DatabaseSimulation:
    """A service whose schema turns every rollback into a full one, which a person has to approve."""
    policy, approval = Policy(on_incompatible_schema="full"), ApprovalPolicy(four_eyes=four_eyes)
    simulation = DatabaseSimulation(policy, approval=approval)
    simulation.alarms.in_alarm.clear()
    return simulation


def test_the_release_is_rolled_back_and_the_report_names_requester_and_checks() -> None:
    simulation = simulation_with_numbered_deployments()
    rollback = simulation.run(request_of(simulation))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.running() == image("v1")
    assert rollback.trigger is Trigger.HEALTH_CHECK
    assert "Trigger: health_check, started by ci@runner: failed health checks: endpoint-answers /health" in message(
        rollback, simulation.service_settings
    )


def test_a_job_that_runs_again_starts_no_second_rollback() -> None:
    simulation = simulation_with_numbered_deployments()
    given = request_of(simulation)
    simulation.run(given, "execution-1")
    simulation.services.calls.clear()
    again = simulation.run(given, "execution-2")
    assert again.outcome is Outcome.SUPPRESSED
    assert "duplicate" in again.reason
    assert simulation.changes() == []


def test_a_deployment_that_is_not_primary_any_more_is_left_alone() -> None:
    simulation = simulation_with_numbered_deployments()
    rollback = simulation.run(request_of(simulation, deployment="ecs-svc/999"))
    assert (rollback.outcome, rollback.recheck_at) == (Outcome.SUPPRESSED, None)
    assert "not ecs-svc/999" in rollback.reason
    assert simulation.changes() == []


@pytest.mark.parametrize("minutes", [-30, 30])
def test_rule_10_a_stale_or_future_health_check_is_suppressed(minutes: float) -> None:
    simulation = simulation_with_numbered_deployments()
    rollback = simulation.run(request_of(simulation, at=NOW + timedelta(minutes=minutes)))
    assert rollback.outcome is Outcome.SUPPRESSED
    assert simulation.changes() == []


def test_rule_7_an_old_promoted_release_is_not_the_cause() -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    rollback = simulation.run(request_of(simulation))
    assert rollback.outcome is Outcome.SUPPRESSED
    assert "not the release" in rollback.reason
    assert simulation.changes() == []


def test_rule_5_a_rollbacks_own_deployment_starts_no_rollback() -> None:
    simulation = simulation_with_numbered_deployments()
    simulation.run({"reason": "by hand"}, "execution-1")
    simulation.services.calls.clear()
    rollback = simulation.run(request_of(simulation, at=simulation.clock.now()), "execution-2")
    assert rollback.outcome is Outcome.SUPPRESSED
    assert simulation.changes() == []


def test_a_pause_stops_it_as_it_stops_every_automatic_trigger() -> None:
    simulation = simulation_with_numbered_deployments()
    pause(SERVICE, Operator(name="ann", reason="moving"), simulation.ports)
    rollback = simulation.run(request_of(simulation))
    assert (rollback.outcome, rollback.recheck_at) == (Outcome.SUPPRESSED, None)


def test_its_suppression_is_final_since_the_pipeline_knows_the_result() -> None:
    simulation = simulation_with_numbered_deployments()
    pause(SERVICE, Operator(name="ann", reason="moving"), simulation.ports)
    simulation.run(request_of(simulation))
    simulation.pass_time(hours=1)
    janitor.sweep(simulation.ports)
    assert simulation.workflow.started == []


def test_it_never_enters_as_an_emergency() -> None:
    simulation = simulation_with_numbered_deployments()
    given = request_of(simulation)
    assert entrance(given) is Step.ADMIT
    with pytest.raises(InvalidRequest, match="type"):
        simulation.admit({**given, "type": "emergency"})
    assert simulation.changes() == []


def test_the_pipelines_role_is_recorded_as_its_requester_where_sts_confirms_it() -> None:
    simulation, sts = simulation_with_numbered_deployments(), FakeIdentityProofs()
    simulation.replace(identity_proofs=sts)
    given = request_of(simulation)
    proof = sts.sign(PIPELINE, purpose_of_start(given, execution_arn("execution-1")), f"{NOW:%Y%m%dT%H%M%SZ}")
    rollback = simulation.admit({**given, PROOF: proof})

    assert rollback.is_requested_by_person
    assert rollback.requester is not None
    assert (rollback.requester.arn, rollback.requester.is_verified) == (PIPELINE, True)


def test_with_four_eyes_no_pipeline_without_a_proof_starts_a_rollback_that_needs_an_approval() -> None:
    simulation = gated_simulation()
    rollback = simulation.run(request_of(simulation))

    assert rollback.outcome is Outcome.REFUSED
    assert "start it from the command line" in simulation.check(rollback, "requester-is-verified").reason
    assert simulation.neon.calls == []


def test_with_four_eyes_the_pipelines_role_can_not_approve_the_rollback_that_it_started() -> None:
    simulation, sts = gated_simulation(), FakeIdentityProofs()
    simulation.replace(identity_proofs=sts)
    given = request_of(simulation)
    proof = sts.sign(PIPELINE, purpose_of_start(given, execution_arn("execution-1")), f"{NOW:%Y%m%dT%H%M%SZ}")
    rollback = simulation.run_until(simulation.admit({**given, PROOF: proof}), Step.APPROVE)

    def approve_as(arn: str) -> None:
        identity = Identity(arn=arn, is_verified=True)
        take_decision(rollback.id, DecisionKind.APPROVED, "looks right", identity, simulation.ports)

    with pytest.raises(InvalidRequest, match="another person decides"):
        approve_as(PIPELINE)
    approve_as(PIPELINE.replace("job-7", "grace"))
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_health_check_behind_a_waiting_rollback_is_suppressed_for_good() -> None:
    simulation = gated_simulation(four_eyes=False)
    waiting = simulation.run_until(simulation.admit({"type": "full", "reason": "bad"}), Step.APPROVE)
    run_step(waiting.id, Step.APPROVE, simulation.ports)
    rollback = simulation.run(request_of(simulation), "execution-2")

    assert (rollback.outcome, rollback.recheck_at) == (Outcome.SUPPRESSED, None)
    assert f"{waiting.id} waits for an approval already" in rollback.reason
