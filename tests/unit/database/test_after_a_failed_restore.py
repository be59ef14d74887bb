"""A restore that failed or was taken over half way: the operator's ways on, and the acts that stay forbidden."""

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

APPROVED = Policy(database_approval="none")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
FORCED = {"force": True, "reason": "Ada knows"}


def half_way(stage: DatabaseSimulation) -> Rollback:
    """Run until the branch is overwritten, before its tables are checked."""
    rollback = stage.admit(FULL)
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = stage.run_due_step(rollback)
    return rollback


def failed_half_way(stage: DatabaseSimulation) -> Rollback:
    rollback = half_way(stage)
    stage.sql.schemas[BRANCH] = AFTER
    ended = stage.run_to_end(rollback)
    stage.neon.settle()
    del stage.sql.schemas[BRANCH]
    return ended


def test_an_undo_of_a_failed_full_rollback_brings_the_data_back_to_the_release_that_never_left() -> None:
    stage = DatabaseSimulation(APPROVED)
    stage.healthy_versions.add("v2")  # v2 was not the cause of its alarm
    failed = failed_half_way(stage)
    assert (failed.outcome, stage.services.desired_count) == (Outcome.FAILED, 0)
    undone = stage.run({"type": "full", "undo": failed.id}, "execution-2")

    assert undone.outcome is Outcome.SUCCEEDED, undone.reason
    assert stage.rows() == GOOD + BAD
    assert (stage.running(), stage.services.desired_count) == (image("v2"), 2)
    assert stage.state_of("v2") is not ReleaseState.QUARANTINED


@pytest.mark.parametrize(
    "given", [{"type": "full", "target_version": "v1"}, {"type": "service", "target_version": "v9"}]
)
def test_a_refused_forced_takeover_does_not_lift_the_fence_of_the_restore(given: dict[str, str]) -> None:
    stage = TwoWriterSimulation()
    half_way(stage)
    successor = stage.run({**given, **FORCED, "service": SERVICE}, "execution-2")

    assert successor.outcome is Outcome.REFUSED, successor.reason
    assert stage.running() == image("v2")
    assert stage.services.desired_count == 0
    assert stage.worker.desired_count == 0
    assert {o.service for o in successor.left_to_operator() if o.kind is ObligationKind.FENCE} == {None, WORKER}


def test_a_failed_restore_invalidates_the_last_observation_of_the_database() -> None:
    stage = DatabaseSimulation(APPROVED, second=ADDS)
    failed_half_way(stage)
    v1, v2 = (next(r for r in stage.ledger.releases(SERVICE) if r.version == v) for v in ("v1", "v2"))
    verdict = schema_verdict(v1, stage.world, v2)
    assert verdict is not None
    assert verdict.compatibility is Compatibility.UNKNOWN


def test_a_reset_refuses_a_requested_time_instead_of_ignoring_it() -> None:
    stage = DatabaseSimulation(APPROVED, second=ADDS, strategy="reset", source_branch_id="br-9")
    ended = stage.read(stage.run({"type": "database", "to": (NOW - timedelta(minutes=25)).isoformat()}))

    assert ended.outcome is Outcome.REFUSED
    assert "reset" in ended.reason
    assert "--strategy restore" in ended.reason
    assert stage.neon.calls == []


def test_a_takeover_of_a_restore_starts_no_service_while_the_last_call_may_still_land() -> None:
    """Rule 9: the intent is written before the change. Neon knows nothing of our lease."""
    stage = DatabaseSimulation(APPROVED)
    rollback = stage.admit(FULL)
    stage.neon.lose_next("restore")
    for _ in range(60):
        rollback = stage.run_due_step(rollback)
        if "restore" in stage.neon.calls:
            break
    assert rollback.database is not None
    intent = rollback.database.intent
    assert intent is not None
    assert intent.action == "restore"
    successor = stage.run_until(
        stage.admit({"type": "service", "target_version": "v1", "service": SERVICE, **FORCED}, "e-2"), Step.SERVICE
    )
    limit = timedelta(seconds=stage.world.settings.policy.database_timeout_seconds)
    while stage.services.desired_count == 0:
        successor = stage.run_due_step(successor)
    assert stage.clock.now() >= intent.at + limit
