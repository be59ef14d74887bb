"""Restore that failed or was taken over after the overwrite: possible and forbidden actions of an operator."""

from datetime import timedelta

import pytest
from simulations.database import ADDS, AFTER, BAD, BRANCH, GOOD, DatabaseSimulation
from simulations.two_writers import WORKER, TwoWriterSimulation
from support.builders import NOW, SERVICE, image

from rollback.domain.database.schema_verdict import Compatibility
from rollback.domain.obligation import ObligationKind
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.schema.verdict_from_ledger import schema_verdict
from rollback.workflow.route import Step

APPROVED = Policy()
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
FORCED = {"force": True, "reason": "Ada knows"}


def run_until_overwritten(simulation: DatabaseSimulation) -> Rollback:
    """Run until the branch is overwritten, before its tables are checked."""
    rollback = simulation.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def run_until_restore_failed(simulation: DatabaseSimulation) -> Rollback:
    rollback = run_until_overwritten(simulation)
    simulation.sql.schemas[BRANCH] = AFTER
    rollback = simulation.run_to_end(rollback)
    simulation.neon.settle()
    del simulation.sql.schemas[BRANCH]
    return rollback


def test_an_undo_of_a_failed_full_rollback_restores_the_data_of_the_release_that_still_runs() -> None:
    simulation = DatabaseSimulation(APPROVED)
    simulation.healthy_versions.add("v2")  # v2 was not the cause of its alarm
    failed_rollback = run_until_restore_failed(simulation)
    assert (failed_rollback.outcome, simulation.services.desired_count) == (Outcome.FAILED, 0)
    undo = simulation.run({"type": "full", "undo": failed_rollback.id}, "execution-2")

    assert undo.outcome is Outcome.SUCCEEDED, undo.reason
    assert simulation.rows() == GOOD + BAD
    assert (simulation.running(), simulation.services.desired_count) == (image("v2"), 2)
    assert simulation.state_of("v2") is not ReleaseState.QUARANTINED


@pytest.mark.parametrize(
    "fields", [{"type": "full", "target_version": "v1"}, {"type": "service", "target_version": "v9"}]
)
def test_a_refused_forced_takeover_does_not_lift_the_fence_of_the_restore(fields: dict[str, str]) -> None:
    simulation = TwoWriterSimulation()
    run_until_overwritten(simulation)
    successor = simulation.run({**fields, **FORCED, "service": SERVICE}, "execution-2")

    assert successor.outcome is Outcome.REFUSED, successor.reason
    assert simulation.running() == image("v2")
    assert simulation.services.desired_count == 0
    assert simulation.worker.desired_count == 0
    assert {o.service for o in successor.left_to_operator() if o.kind is ObligationKind.FENCE} == {None, WORKER}


def test_a_failed_restore_invalidates_the_last_observation_of_the_database() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    run_until_restore_failed(simulation)
    v1, v2 = (next(r for r in simulation.ledger.releases(SERVICE) if r.version == v) for v in ("v1", "v2"))
    verdict = schema_verdict(v1, simulation.ports, v2)
    assert verdict is not None
    assert verdict.compatibility is Compatibility.UNKNOWN


def test_a_reset_refuses_a_requested_time() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS, strategy="reset", source_branch_id="br-9")
    rollback = simulation.read(simulation.run({"type": "database", "to": (NOW - timedelta(minutes=25)).isoformat()}))

    assert rollback.outcome is Outcome.REFUSED
    assert "reset" in rollback.reason
    assert "--strategy restore" in rollback.reason
    assert simulation.neon.calls == []


def test_a_takeover_of_a_restore_starts_no_service_while_the_last_call_may_still_land() -> None:
    """Rule 9: the intent is written before the change. Neon knows nothing of our lease."""
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.admit(FULL)
    simulation.neon.lose_next("restore")
    for _ in range(60):
        rollback = simulation.run_due_step(rollback)
        if "restore" in simulation.neon.calls:
            break
    assert rollback.database is not None
    intent = rollback.database.intent
    assert intent is not None
    assert intent.action == "restore"
    successor = simulation.run_until(
        simulation.admit({"type": "service", "target_version": "v1", "service": SERVICE, **FORCED}, "e-2"), Step.SERVICE
    )
    limit = timedelta(seconds=simulation.ports.settings.policy.database_timeout_seconds)
    while simulation.services.desired_count == 0:
        successor = simulation.run_due_step(successor)
    assert simulation.clock.now() >= intent.at + limit
