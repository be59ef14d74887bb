"""Announced changes are looked up before a rollback concludes: after an abort, a crash or a lost lease."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.service import PROMOTED, QUARANTINED, Simulation, start_simulation
from simulations.two_writers import TwoWriterSimulation
from support.builders import NOW, SERVICE, image

from rollback.domain.database.progress import DatabaseOutcome, DownMigrationProgress, OriginalBranch, backup_name
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.operations.pause_abort_unlock import abort, unlock
from rollback.resources.database.errors import OutcomeUnknown, RequestRefused, Unreachable
from rollback.service.reconciler import service
from rollback.workflow import janitor
from rollback.workflow.route import Step

ANN = Operator(name="ann@desk", reason="I look at it first")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}
TIMED_OUT = "its execution ended as TIMED_OUT: no cause given"


def fail_as_unreachable(*_: Any, **__: Any) -> Any:
    raise Unreachable("no connection to Neon")


def run_until_restore_sent(simulation: DatabaseSimulation) -> Rollback:
    """Run until the restore was sent to Neon, and no observation followed."""
    rollback = simulation.admit(FULL, "execution-1")
    while "restore" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    assert rollback.database is not None
    assert rollback.database.data_change_announced_at is not None
    assert rollback.database.backup_id is None
    return rollback


def by_operator_abort(simulation: Simulation, rollback: Rollback) -> None:
    abort(rollback.id, ANN, simulation.ports)


def by_crash(simulation: Simulation, rollback: Rollback) -> None:
    janitor.conclude_execution(rollback.execution, TIMED_OUT, simulation.ports)


def by_lost_lease(simulation: Simulation, rollback: Rollback) -> None:
    simulation.ledger.release_lease(SERVICE, rollback.id)
    simulation.run_due_step(rollback)


ENDINGS: list[Callable[[Simulation, Rollback], None]] = [by_operator_abort, by_crash, by_lost_lease]


def conclude_by_janitor(simulation: DatabaseSimulation, rollback: Rollback, minutes: int = 60) -> Rollback:
    for _ in range(minutes):
        simulation.neon.settle()
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
        simulation.workflow.started.clear()
    rollback = simulation.read(rollback)
    assert rollback.concluded_at is not None
    return rollback


# The database


@pytest.mark.parametrize("end_rollback", ENDINGS)
def test_a_rollback_ended_after_its_restore_was_sent_names_the_backup_and_can_be_undone(
    end_rollback: Callable[[Simulation, Rollback], None],
) -> None:
    simulation = DatabaseSimulation()
    simulation.healthy_versions.add("v2")
    rollback = run_until_restore_sent(simulation)
    end_rollback(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)
    backup = simulation.backup(rollback)

    assert backup is not None
    assert rollback.database is not None
    assert (rollback.database.backup_id, rollback.database.database_outcome) == (backup.id, DatabaseOutcome.FAILED)
    assert rollback.has_changed_data
    page = simulation.pages()[-1]
    assert f"backup branch {backup.id}" in page
    assert f"rollback undo production {rollback.id}" in page
    assert "no backup branch is known" not in "".join(simulation.pages())
    assert simulation.services.desired_count == 0  # v2 does not fit that data
    undo = simulation.run({"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "execution-2")
    assert undo.outcome is Outcome.SUCCEEDED, undo.reason
    assert simulation.rows() == GOOD + BAD
    assert simulation.running() == image("v2")


def test_the_first_page_says_that_the_state_of_the_data_is_unknown_and_names_the_backup() -> None:
    simulation = DatabaseSimulation()
    rollback = run_until_restore_sent(simulation)
    by_operator_abort(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)
    first_page = simulation.pages()[0]
    assert "is not known yet" in first_page
    assert backup_name(rollback.id) in first_page
    ids = [notification.attributes["report_id"] for notification in simulation.notifications.sent]
    assert len(set(ids)) == len(ids)


def test_a_restore_that_was_announced_and_never_sent_did_not_change_the_data() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit(FULL, "execution-1")
    while rollback.database is None or rollback.database.data_change_announced_at is None:
        simulation.neon.refuse_next("restore", OutcomeUnknown("the connection broke before it was sent"))
        rollback = simulation.run_due_step(rollback)
    assert rollback.database.intent is not None
    by_crash(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)

    assert not rollback.has_changed_data
    assert rollback.database is not None
    assert rollback.database.database_outcome is DatabaseOutcome.REFUSED
    assert simulation.rows() == GOOD + BAD
    assert (simulation.running(), simulation.services.desired_count) == (image("v2"), 2)
    assert rollback.left_to_operator() == ()
    assert "the data is untouched" in simulation.pages()[-1]


def test_neon_is_not_queried_while_the_announced_call_can_still_land() -> None:
    """Rule 9: the intent is written before the change. Neon knows nothing of our lease."""
    simulation = DatabaseSimulation()
    rollback = simulation.admit(FULL, "execution-1")
    simulation.neon.lose_next("restore")
    while "restore" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    assert rollback.database is not None
    assert rollback.database.intent is not None
    announced = rollback.database.intent.at
    by_crash(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)
    assert rollback.database is not None
    assert rollback.database.last_change_checked_at is not None
    limit = timedelta(seconds=simulation.ports.settings.policy.database_timeout_seconds)
    assert rollback.database.last_change_checked_at >= announced + limit
    assert rollback.database.backup_id is not None


def test_the_page_says_unknown_and_the_service_stays_fenced_if_neon_does_not_answer() -> None:
    simulation = DatabaseSimulation()
    rollback = run_until_restore_sent(simulation)

    real = simulation.neon.branch
    simulation.neon.branch = fail_as_unreachable  # type: ignore[method-assign]
    by_crash(simulation, rollback)
    for _ in range(60):
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
        simulation.workflow.started.clear()
    rollback = simulation.read(rollback)
    simulation.neon.branch = real  # type: ignore[method-assign]

    assert rollback.concluded_at is not None
    assert rollback.database is not None
    assert rollback.database.unknown_reason is not None
    page = simulation.pages()[-1]
    assert "it is NOT KNOWN whether the data was changed (no connection to Neon)" in page
    assert f"look in Neon's console for a branch {backup_name(rollback.id)}" in page
    assert simulation.services.desired_count == 0
    assert ObligationKind.FENCE in {obligation.kind for obligation in rollback.left_to_operator()}
    refused_undo = simulation.run(
        {"type": "full", "service": SERVICE, "undo": rollback.id, "force": True}, "execution-2"
    )
    assert refused_undo.outcome is Outcome.REFUSED
    assert f"look in Neon's console for a branch {backup_name(rollback.id)}" in refused_undo.reason


def test_a_service_at_zero_whose_data_is_untouched_does_not_wait_for_neon() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit(FULL, "execution-1")
    simulation.neon.lose_next("create_branch")
    while "create_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    assert rollback.database is not None
    assert rollback.database.intent is not None

    simulation.neon.branch = fail_as_unreachable  # type: ignore[method-assign]
    by_crash(simulation, rollback)
    for _ in range(3):
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
    assert simulation.services.desired_count == 2


def test_the_page_names_a_preview_that_was_not_deleted() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit(FULL, "execution-1")
    simulation.neon.lose_next("create_branch")
    while "create_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    by_crash(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)
    assert not rollback.has_changed_data
    assert f"preview branch rollback-preview-{rollback.id} was left over" in simulation.pages()[-1]


@pytest.mark.parametrize(
    ("changes", "unanswered_moves"),
    [
        ({}, False),
        ({"intent": {"action": "restore", "at": NOW}}, True),
        ({"data_change_announced_at": NOW}, True),
        ({"data_change_announced_at": NOW, "backup_id": "br-9"}, False),
        ({"data_change_announced_at": NOW, "database_outcome": "failed", "ended_at": NOW}, True),
        ({"data_change_announced_at": NOW, "database_outcome": "restored", "ended_at": NOW}, False),
        ({"data_change_announced_at": NOW, "last_change_checked_at": NOW}, False),
        ({"backup_id": "br-9", "ran": ({"name": "0002", "arn": "task/1", "asked_at": NOW},)}, True),
    ],
)
def test_a_change_is_unanswered_until_an_observation_shows_its_effect(
    changes: dict[str, Any], unanswered_moves: bool
) -> None:
    progress = DownMigrationProgress.model_validate(
        {"started_at": NOW, "before": OriginalBranch(name="main", protected=False), **changes}
    )
    assert progress.has_unconfirmed_change is unanswered_moves


# A crash is no abort


@pytest.mark.parametrize("end_rollback", [by_crash, by_lost_lease])
@pytest.mark.parametrize("situation", ["announced", "stopped", "stands", "preview", "unprotected"])
def test_rule_3_a_crash_behind_the_fence_keeps_no_service_at_zero_whose_data_was_never_touched(
    situation: str, end_rollback: Callable[[Simulation, Rollback], None]
) -> None:
    simulation = TwoWriterSimulation()
    rollback = simulation.admit(FULL, "execution-1")
    conditions: dict[str, Callable[[Rollback], bool]] = {
        "announced": lambda r: bool(r.obligations),
        "stopped": lambda _: simulation.services.desired_count == 0,
        "stands": lambda r: r.database is not None and r.database.fence.head is not None,
        "preview": lambda _: "create_branch" in simulation.neon.calls,
        "unprotected": lambda _: "update_branch" in simulation.neon.calls,
    }
    while not conditions[situation](rollback):
        rollback = simulation.run_due_step(rollback)
    assert "restore" not in simulation.neon.calls
    end_rollback(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)

    assert not rollback.has_changed_data
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (2, 2)
    assert rollback.left_to_operator() == ()
    assert rollback.is_operator_abort is False
    assert simulation.rows() == GOOD + BAD
    assert simulation.branch.protected


def run_until_fenced(simulation: TwoWriterSimulation) -> Rollback:
    rollback = simulation.admit(FULL, "execution-1")
    while rollback.database is None or rollback.database.fence.head is None:
        rollback = simulation.run_due_step(rollback)
    return rollback


def by_operator(simulation: Simulation, rollback: Rollback) -> None:
    reason = "its execution ended as ABORTED: by ann"
    janitor.conclude_execution(rollback.execution, reason, simulation.ports, by_operator=True)


def by_forced_unlock(simulation: Simulation, rollback: Rollback) -> None:
    unlock(SERVICE, ANN, simulation.ports, force=True)
    simulation.run_due_step(rollback)


@pytest.mark.parametrize("end_rollback", [by_operator_abort, by_operator, by_forced_unlock])
def test_rule_3_a_rollback_that_an_operator_stops_behind_the_fence_stays_fenced(
    end_rollback: Callable[[Simulation, Rollback], None],
) -> None:
    simulation = TwoWriterSimulation()
    rollback = run_until_fenced(simulation)
    end_rollback(simulation, rollback)
    rollback = conclude_by_janitor(simulation, rollback)

    assert rollback.outcome is Outcome.ABORTED
    assert rollback.is_operator_abort
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (0, 0)
    assert ObligationKind.FENCE in {obligation.kind for obligation in rollback.left_to_operator()}


def test_a_document_of_an_older_version_that_was_aborted_behind_its_fence_stays_fenced() -> None:
    simulation = TwoWriterSimulation()
    rollback = run_until_fenced(simulation)
    simulation.ledger.save(simulation.read(rollback).evolve(outcome=Outcome.ABORTED, reason="aborted by ann"))
    conclude_by_janitor(simulation, rollback)
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (0, 0)


def test_rule_3_a_forced_rollback_lifts_the_fence_of_a_stopped_rollback_only_on_success() -> None:
    """The operator knows more than we do: a refused successor has no evidence for the bad release."""
    simulation = TwoWriterSimulation()
    first_rollback = run_until_fenced(simulation)
    simulation.ledger.save(
        simulation.read(first_rollback).evolve(outcome=Outcome.ABORTED, reason="by ann", is_operator_abort=True)
    )
    execution_input = {
        "type": "database",
        "service": SERVICE,
        "target_version": "v9",
        "force": True,
        "reason": "it takes too long",
    }
    refused_rollback = simulation.run(execution_input, "execution-2")

    assert refused_rollback.outcome is Outcome.REFUSED
    assert refused_rollback.inherits_fence_of == first_rollback.id
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (0, 0)
    assert ObligationKind.FENCE in {
        obligation.kind for obligation in simulation.read(refused_rollback).left_to_operator()
    }


def test_a_fence_alone_marks_no_release_and_counts_as_an_attempt() -> None:
    simulation = DatabaseSimulation()
    simulation.neon.refuse_next("restore", RequestRefused("the branch is being moved"))
    refused_rollback = simulation.run()
    assert refused_rollback.outcome is Outcome.REFUSED
    assert refused_rollback.has_fenced
    assert refused_rollback.has_acted
    assert simulation.state_of("v2") == "candidate"


# The service


def kill_after_unsaved_stop(simulation: Simulation) -> Rollback:
    """Announce and make a StopServiceDeployment, and kill the execution before the save."""
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.begin_deployment("v2")
    rollback = simulation.run_until(simulation.admit(None, "execution-1"), Step.SERVICE)
    rollback = simulation.ledger.save(service(rollback, simulation.ports))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    assert rollback.service.intent.action == "stop_deployment"
    return rollback


def sweep_until_concluded(simulation: Simulation, rollback: Rollback, minutes: int = 30) -> Rollback:
    for _ in range(minutes):
        simulation.pass_time(minutes=1)
        janitor.sweep(simulation.ports)
        simulation.workflow.started.clear()
    return simulation.read(rollback)


def test_an_unsaved_stop_of_a_deployment_is_no_abort_without_changes() -> None:
    simulation = Simulation()
    rollback = kill_after_unsaved_stop(simulation)
    assert rollback.service is not None
    assert rollback.service.intent is not None
    simulation.services.stop_deployment(rollback.service.intent.arguments["service_deployment_arn"])
    by_crash(simulation, rollback)
    rollback = sweep_until_concluded(simulation, rollback)

    assert rollback.has_acted
    assert rollback.outcome is Outcome.FAILED
    assert 'ECS made the change "stop deployment" that was announced at 03:00:00 UTC' in rollback.reason
    assert "ECS made the change" in simulation.pages()[-1]
    assert simulation.changes() == ["stop_deployment"]
    assert rollback.recheck_at is None


def test_an_operator_s_abort_stays_an_abort_and_reports_the_stop_that_landed() -> None:
    simulation = Simulation()
    rollback = kill_after_unsaved_stop(simulation)
    assert rollback.service is not None
    assert rollback.service.intent is not None
    simulation.services.stop_deployment(rollback.service.intent.arguments["service_deployment_arn"])
    by_operator_abort(simulation, rollback)
    rollback = sweep_until_concluded(simulation, rollback)
    assert (rollback.outcome, rollback.has_acted) == (Outcome.ABORTED, True)
    assert 'ECS made the change "stop deployment" that was announced at 03:00:00 UTC' in simulation.pages()[-1]


def test_a_stop_that_never_landed_is_an_abort_without_changes() -> None:
    simulation = Simulation()
    rollback = kill_after_unsaved_stop(simulation)
    by_crash(simulation, rollback)
    concluded_rollback = simulation.read(rollback)
    for _ in range(30):
        if concluded_rollback.concluded_at is not None:
            break
        simulation.clock.pass_time(seconds=10)  # ECS makes no progress
        janitor.sweep(simulation.ports)
        concluded_rollback = simulation.read(rollback)
    assert (concluded_rollback.outcome, concluded_rollback.has_acted) == (Outcome.ABORTED, False)


def test_a_later_deployment_hides_whether_the_stop_landed() -> None:
    simulation = Simulation()
    rollback = kill_after_unsaved_stop(simulation)
    simulation.services.deploy(simulation.arns["v2"], simulation.clock.now())
    by_crash(simulation, rollback)
    rollback = sweep_until_concluded(simulation, rollback)
    assert rollback.service is not None
    assert any("it is NOT KNOWN whether ECS made the change" in note for note in rollback.service.notes)


def test_an_unsaved_raise_of_capacity_is_recorded() -> None:
    simulation = Simulation(policy=Policy())
    simulation.ship("v1", PROMOTED, hours_ago=48, desired_count=4)
    simulation.ship("v2", QUARANTINED, hours_ago=1)
    simulation.begin_deployment("v3")
    rollback = simulation.run_until(simulation.admit(None, "execution-1"), Step.SERVICE)
    simulation.services.run(simulation.arns["v1"], desired_count=1)
    rollback = simulation.ledger.save(service(rollback, simulation.ports))
    assert rollback.service is not None
    assert rollback.service.intent is not None
    assert rollback.service.intent.action == "raise_capacity"
    simulation.services.update(simulation.service_settings, desired_count=4)
    by_crash(simulation, rollback)
    assert sweep_until_concluded(simulation, rollback).has_acted


def test_a_rollback_that_never_acted_ends_as_an_abort() -> None:
    simulation = start_simulation()
    rollback = simulation.run_until(simulation.admit(None, "execution-1"), Step.SERVICE)
    by_crash(simulation, rollback)
    rollback = sweep_until_concluded(simulation, rollback)
    assert (rollback.outcome, rollback.has_acted) == (Outcome.ABORTED, False)
