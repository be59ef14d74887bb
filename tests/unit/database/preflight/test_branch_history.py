"""After a restore a branch uses its LSNs again: restore points from before are never restored on the branch itself."""

from datetime import timedelta

from faults.scenarios.database import RestoreScenario
from simulations.database import AFTER, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.service import CANDIDATE
from support.builders import NOW, SERVICE

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_history import read_branch_history
from rollback.database.preflight.preflight import preflight_of_restore
from rollback.database.preflight.timeline import CHECK_NAME, BranchHistory, OwnRestore, judge_timeline
from rollback.domain.database.progress import DatabaseOutcome, RestorePoint, backup_name
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.rollback import Outcome
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.policy import Policy
from rollback.resources.database.wal_position import Lsn

APPROVED = Policy()
FULL = {"type": "full", "target_version": "v1"}


def point(minutes_ago: float, timeline: str | None) -> RecordedPoint:
    at = NOW - timedelta(minutes=minutes_ago)
    return RecordedPoint(branch="b", service=SERVICE, version="v2", at=at, lsn=Lsn(7), recorded_at=at,
                         by="checkpoint", timeline=timeline)  # fmt: skip


def own_restore(minutes_ago: float, name: str = "r-1") -> OwnRestore:
    return OwnRestore(name, NOW - timedelta(minutes=minutes_ago), backup_name(name))


def test_a_restore_point_of_another_timeline_is_not_in_the_branch_s_history() -> None:
    history = BranchHistory(timeline="now")
    assert history.has(point(5, "now"))
    assert not history.has(point(5, "former"))
    assert "a restore outside of our rollbacks" in history.failed_check(NOW, "it").reason


def test_a_restore_point_from_before_our_restore_is_not_in_the_branch_s_history_on_any_timeline() -> None:
    history = BranchHistory(timeline="now", restores=(own_restore(10),))
    assert not history.has(point(15, "now"))
    assert history.has(point(5, "now"))
    assert history.has(point(5, None))
    assert not history.has(point(15, None))
    assert not BranchHistory(restores=(own_restore(10),)).has(point(15, "former"))
    assert BranchHistory().has(point(15, "any"))


def test_the_history_of_a_point_is_in_the_backup_of_the_first_restore_after_it() -> None:
    """The backup of a later restore begins with the data that the first one brought back."""
    history = BranchHistory(restores=(own_restore(10, "second"), own_restore(20, "first")))
    first_restore = history.first_restore_after(NOW - timedelta(minutes=30))
    assert first_restore is not None
    assert first_restore.rollback_id == "first"
    assert backup_name("first") in history.failed_check(NOW - timedelta(minutes=30), "it").reason


def roll_back_and_deploy_again(simulation: DatabaseSimulation) -> str:
    """Roll back fully from v2 to v1, deploy v2 again without a checkpoint, and return the rollback's id."""
    rollback = simulation.read(simulation.run(FULL))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD
    simulation.neon.settle()
    simulation.clock.pass_time(minutes=1)
    return rollback.id


def test_a_restore_point_from_before_our_restore_is_refused_with_the_name_of_its_backup() -> None:
    simulation = DatabaseSimulation(APPROVED)
    first_id = roll_back_and_deploy_again(simulation)
    calls = list(simulation.neon.calls)
    second_rollback = simulation.read(
        simulation.run({**FULL, "force": True, "reason": "again", "type": "database"}, "execution-2")
    )

    assert second_rollback.outcome is Outcome.REFUSED
    check = simulation.check(second_rollback, CHECK_NAME)
    assert check.verdict is Verdict.FAIL
    assert f"before {first_id} restored the branch" in check.reason
    assert backup_name(first_id) in check.reason
    assert simulation.neon.calls == calls


def test_an_operators_restore_time_before_our_restore_is_refused() -> None:
    simulation = DatabaseSimulation(APPROVED)
    restore_time = simulation.clock.now() - timedelta(minutes=10)
    first_id = roll_back_and_deploy_again(simulation)
    execution_input = {"type": "database", "to": restore_time.isoformat(), "force": True, "reason": "by hand"}
    second_rollback = simulation.read(simulation.run(execution_input, "execution-2"))

    assert second_rollback.outcome is Outcome.REFUSED
    assert first_id in simulation.check(second_rollback, CHECK_NAME).reason


def test_a_restore_point_recorded_after_the_restore_is_restored() -> None:
    simulation = DatabaseSimulation(APPROVED)
    roll_back_and_deploy_again(simulation)
    simulation.checkpoint("v3", (FIRST, DROPS))
    simulation.clock.pass_time(minutes=1)
    simulation.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS))
    simulation.ship("v3", CANDIDATE, hours_ago=(NOW - simulation.clock.now()).total_seconds() / 3600)
    simulation.neon.write(BRANCH, 5)
    simulation.clock.pass_time(minutes=2)
    simulation.observe()
    second_rollback = simulation.read(simulation.run(FULL, "execution-2"))

    assert second_rollback.outcome is Outcome.SUCCEEDED, second_rollback.reason
    assert simulation.rows() == GOOD


def test_an_observation_from_before_the_restore_proves_no_timeline() -> None:
    """Such an observation names the former timeline, on which every earlier restore point still seems to be."""
    simulation = DatabaseSimulation(APPROVED)
    observation = simulation.ledger.observation(simulation.branch_key)
    assert observation is not None
    roll_back_and_deploy_again(simulation)
    simulation.ledger._observations[simulation.branch_key] = observation  # the observation after the restore failed
    history = read_branch_history(simulation.branch_key, NOW - timedelta(days=3), simulation.ports)
    assert history.timeline is None
    assert not any(history.has(point) for point in simulation.ledger.restore_points(simulation.branch_key))


def test_an_observation_after_the_restore_records_the_new_timeline() -> None:
    simulation = DatabaseSimulation(APPROVED)
    former_timeline = simulation.neon.timeline(BRANCH)
    roll_back_and_deploy_again(simulation)
    history = read_branch_history(simulation.branch_key, NOW - timedelta(days=3), simulation.ports)
    assert history.timeline == simulation.neon.timeline(BRANCH) != former_timeline


def timeline_check(restore: RestoreScenario) -> Check:
    checks = preflight_of_restore(restore.point, restore.real, restore.clock.now())
    return next(check for check in checks if check.name == CHECK_NAME)


def test_the_timeline_of_a_point_is_compared_live_before_anything_is_changed() -> None:
    restore = RestoreScenario()
    recorded = restore.neon.timeline(restore.branch_id)
    restore.point = RestorePoint(at=restore.point.at, timeline=recorded)
    assert timeline_check(restore).verdict is Verdict.PASS

    restore.point = RestorePoint(at=restore.point.at, timeline="another")
    check = timeline_check(restore)
    assert (check.verdict, check.is_forceable) == (Verdict.FAIL, False)
    assert "LSNs are used again" in check.reason


def test_the_check_of_a_restore_point_without_a_timeline_says_that_none_was_compared() -> None:
    assert timeline_check(RestoreScenario()).verdict is Verdict.SKIPPED


def test_a_timeline_that_postgres_refuses_to_show_is_no_proof() -> None:
    branch = RestoreScenario().branch
    assert judge_timeline("recorded", None, branch, ()).verdict is Verdict.WARN


def test_a_branch_that_an_operator_restored_before_the_fence_is_not_changed() -> None:
    """A restore by an operator may not show in `last_reset_at`: whether a self-restore sets it is not documented."""
    restore = RestoreScenario()
    restore.point = RestorePoint(at=restore.point.at, timeline=restore.neon.timeline(restore.branch_id))
    restore.run_round()
    assert restore.progress.ended_at is None
    restore.neon._logs[restore.branch_id].timeline = "by hand"
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "on another timeline" in (restore.progress.why_not or "")
    assert "restore" not in restore.neon.calls


def test_down_migrations_do_not_change_the_history_of_a_branch() -> None:
    """Down-migrations run on the branch, and their backup is a copy."""
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.ledger.read(SERVICE, roll_back_and_deploy_again(simulation))
    assert read_branch_history(simulation.branch_key, NOW - timedelta(days=3), simulation.ports).restores
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    stepped_down = rollback.plan.database.model_copy(update={"strategy": Strategy.DOWN_MIGRATIONS})
    simulation.ledger.save(rollback.evolve(plan=rollback.plan.model_copy(update={"database": stepped_down})))
    assert read_branch_history(simulation.branch_key, NOW - timedelta(days=3), simulation.ports).restores == ()
