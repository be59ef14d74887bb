"""Unfence: an operator discharges obligations that a rollback handed over."""

from typing import Any

import pytest
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from faults.scenarios.database_endings import raise_error
from simulations.database import DatabaseSimulation
from simulations.service import AUTOSCALED, SUSPECT, Simulation, start_simulation, start_simulation_at_zero
from support.builders import SERVICE

from rollback.domain.ledger.page_count import is_page
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict, InvalidRequest
from rollback.operations.pause_abort_unlock import abort
from rollback.operations.unfence import UnfenceResult, list_obligations_of_operator, unfence
from rollback.reports.report import message
from rollback.resources.database.errors import AccessRefused
from rollback.workflow.janitor import sweep
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli.direct_mode import wait_until_concluded

ANN = Operator(name="ann@desk", reason="the fix is out")


def left_fenced() -> tuple[Simulation, Rollback]:
    """Abort at zero tasks: fence, scaling and deployment configuration are left to the operator; v1 would start."""
    stage, rollback = start_simulation_at_zero()
    abort(rollback.id, ANN, stage.world)
    done = wait_until_concluded(rollback.id, stage.world, lambda seconds: stage.pass_time(seconds=seconds))
    assert stage.services.desired_count == 0
    stage.services.behaviours.clear()
    stage.services.calls.clear()
    return stage, done


def kinds(unfenced: UnfenceResult) -> tuple[list[str], list[str]]:
    return [str(one.obligation.kind) for one in unfenced.done], [str(one.obligation.kind) for one in unfenced.left]


def scaling(stage: Simulation) -> Any:
    return stage.world.scaling.describe(stage.world.settings.services[0])


def until_put_back(stage: Simulation) -> None:
    for _ in range(20):
        if not unfence(SERVICE, ANN, stage.world).left:
            return
        stage.pass_time(seconds=10)
    raise AssertionError("never put back")


def test_unfence_restores_tasks_first_and_scaling_once_they_run() -> None:
    stage, rollback = left_fenced()
    first = unfence(SERVICE, ANN, stage.world)
    assert kinds(first)[0] == ["fence"]
    assert kinds(first)[1][0] == "scaling"
    assert stage.services.desired_count == 2
    assert not scaling(stage).is_active
    until_put_back(stage)
    assert scaling(stage) == AUTOSCALED
    assert list_obligations_of_operator(SERVICE, stage.world) == []
    assert stage.services.deployment_configuration["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    done = stage.read(rollback)
    assert done.left_to_operator() == ()
    assert all(o.discharged_at is not None for o in done.obligations)
    assert {a.verb for a in stage.ledger.actions(SERVICE)} == {"abort", "unfence"}
    assert stage.ledger.lease(SERVICE) is None


def test_a_report_after_unfence_asks_for_no_further_action() -> None:
    stage, rollback = left_fenced()
    until_put_back(stage)
    done = stage.read(rollback)
    assert "unfence" not in message(done, stage.world.settings.services[0])
    assert is_page(done)  # an operator has to find out why it was aborted


def test_unfence_keeps_a_desired_count_above_the_recorded_one() -> None:
    stage, _ = left_fenced()
    stage.services.update(stage.world.settings.services[0], desired_count=3, force_new_deployment=True)
    until_put_back(stage)
    assert stage.services.desired_count == 3


def test_unfence_says_that_a_failed_deployment_starts_no_tasks() -> None:
    stage, _ = left_fenced()
    stage.services.update(stage.world.settings.services[0], desired_count=2)
    unfenced = unfence(SERVICE, ANN, stage.world)
    assert unfenced.left
    assert unfenced.stands.startswith("0 of 2 tasks run, rollout FAILED: a failed deployment starts no tasks")
    assert "--service macro-ai-production-service --force-new-deployment" in unfenced.stands


def test_unfence_puts_no_setting_back_twice() -> None:
    stage, _ = left_fenced()
    until_put_back(stage)
    with pytest.raises(InvalidRequest, match="no setting of express-api was left to an operator"):
        unfence(SERVICE, ANN, stage.world)


def test_unfence_does_not_put_back_settings_of_a_live_rollback() -> None:
    stage, rollback = start_simulation_at_zero()
    with pytest.raises(InvalidRequest, match=f"{rollback.id} .*it has fenced the service: desired count 0"):
        unfence(SERVICE, ANN, stage.world, force=True)
    assert stage.services.desired_count == 0


def test_unfence_beside_another_rollback_needs_force() -> None:
    stage, _ = left_fenced()
    other = stage.admit({}, "execution-2")
    with pytest.raises(InvalidRequest, match=f"in progress: {other.id}.*rollback abort production {other.id}"):
        unfence(SERVICE, ANN, stage.world)
    assert stage.services.desired_count == 0
    assert kinds(unfence(SERVICE, ANN, stage.world, force=True))[0] == ["fence"]
    held = stage.ledger.lease(SERVICE)
    assert held is not None
    assert held.holder == other.id


def test_unfence_gives_way_to_a_rollback_that_begins_at_the_same_moment() -> None:
    stage, _ = left_fenced()
    record = stage.ledger.record_action

    def another_begins(action: Any) -> None:
        record(action)
        stage.admit({}, "execution-2")

    stage.ledger.record_action = another_begins  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="has just begun"):
        unfence(SERVICE, ANN, stage.world)
    assert stage.services.desired_count == 0


def test_unfence_needs_force_to_overwrite_scaling_that_was_changed_since() -> None:
    stage, _ = left_fenced()
    theirs = AUTOSCALED.model_copy(update={"max_capacity": 40})
    stage.world.scaling.put(stage.world.settings.services[0], theirs)
    with pytest.raises(InvalidRequest, match=r"max_capacity=40.*neither the recorded value"):
        unfence(SERVICE, ANN, stage.world)
    assert scaling(stage) == theirs


def test_unfence_needs_force_to_start_a_rolled_back_release() -> None:
    stage, rollback = left_fenced()
    v1 = next(r for r in stage.ledger.releases(SERVICE) if r.version == "v1")
    stage.ledger.set_release_state(v1, SUSPECT, stage.clock.now(), "left by another rollback")
    with pytest.raises(InvalidRequest, match=r"v1 would be started, which is suspect.*--type emergency"):
        unfence(SERVICE, ANN, stage.world)
    assert stage.services.desired_count == 0
    assert stage.read(rollback) == rollback
    assert kinds(unfence(SERVICE, ANN, stage.world, force=True))[0] == ["fence"]


def test_unfence_refuses_a_service_without_obligations() -> None:
    stage = start_simulation()
    stage.run()
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        unfence(SERVICE, ANN, stage.world)
    assert list(stage.ledger.actions(SERVICE)) == []


def left_unprotected() -> tuple[DatabaseSimulation, Rollback]:
    """Neon refuses calls after the branch was unprotected."""
    stage = DatabaseSimulation()
    rollback = stage.admit()
    while "update_branch" not in stage.neon.calls:
        rollback = stage.run_due_step(rollback)
    real = stage.neon.branch
    stage.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    run_step(rollback.id, Step.CONCLUDE, stage.world, "AccessRefused: 403")
    rollback = stage.run_until(rollback)
    stage.neon.branch = real  # type: ignore[method-assign]
    return stage, rollback


def test_unfence_protects_a_branch_again_and_the_page_names_the_command() -> None:
    stage, rollback = left_unprotected()
    assert not stage.branch.protected
    assert stage.services.desired_count == 2, "the data is untouched, and no service waits for Neon"
    assert [owed.kind for owed in rollback.left_to_operator()] == [ObligationKind.BRANCH_PROTECTION]
    assert "rollback unfence production --service express-api" in stage.pages()[-1]
    assert kinds(unfence(SERVICE, ANN, stage.world)) == (["branch_protection"], [])
    assert stage.branch.protected
    assert stage.read(rollback).left_to_operator() == ()


def test_a_branch_that_can_not_be_read_from_here_delays_no_other_obligation() -> None:
    stage, rollback = left_unprotected()
    fence = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}, handed_to=OPERATOR)
    assert stage.services.desired_count == 2
    stage.ledger.save(rollback.evolve(obligations=(fence, *rollback.obligations)))
    stage.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    assert kinds(unfence(SERVICE, ANN, stage.world)) == (["fence"], ["branch_protection"])


def calls_of_an_unfence() -> int:
    (stage, _), outside = left_fenced(), FaultInjector()
    stage.replace(ledger=CrashingProxy(stage.ledger, outside), services=CrashingProxy(stage.services, outside))
    unfence(SERVICE, ANN, stage.world)
    return outside.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_unfence() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_unfence_interrupted_at_any_call_continues_where_it_was(kill_at: int, after: bool) -> None:
    (stage, rollback), outside = left_fenced(), FaultInjector(kill_at, after=after)
    stage.replace(ledger=CrashingProxy(stage.ledger, outside), services=CrashingProxy(stage.services, outside))
    with pytest.raises(ProcessKilled):
        unfence(SERVICE, ANN, stage.world)
    outside.restart_process()
    if stage.services.desired_count:
        assert "unfence" in {a.verb for a in stage.ledger.actions(SERVICE)}
    stage.clock.pass_time(minutes=stage.policy.lease_minutes)  # past the lease that the interrupted call may have left
    until_put_back(stage)
    assert scaling(stage) == AUTOSCALED
    assert stage.read(rollback).left_to_operator() == ()


def test_the_janitor_does_not_release_a_lease_that_unfence_uses() -> None:
    """The lease is in the name of a concluded rollback, and is in use all the same."""
    stage, _ = left_fenced()
    update = stage.services.update

    def swept_meanwhile(*given: Any, **named: Any) -> None:
        sweep(stage.world)
        assert stage.ledger.lease(SERVICE) is not None
        update(*given, **named)

    stage.services.update = swept_meanwhile  # type: ignore[method-assign]
    unfence(SERVICE, ANN, stage.world)
    assert stage.services.desired_count == 2
