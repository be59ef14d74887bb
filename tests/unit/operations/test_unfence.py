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
from rollback_cli.direct.conclude import wait_until_concluded

ANN = Operator(name="ann@desk", reason="the fix is out")


def simulation_left_fenced() -> tuple[Simulation, Rollback]:
    """Abort at zero tasks: fence, scaling and deployment configuration are left to the operator; v1 would start."""
    simulation, rollback = start_simulation_at_zero()
    abort(rollback.id, ANN, simulation.ports)
    concluded_rollback = wait_until_concluded(
        rollback.id, simulation.ports, lambda seconds: simulation.pass_time(seconds=seconds)
    )
    assert simulation.services.desired_count == 0
    simulation.services.behaviours.clear()
    simulation.services.calls.clear()
    return simulation, concluded_rollback


def kinds(result: UnfenceResult) -> tuple[list[str], list[str]]:
    return [str(item.obligation.kind) for item in result.discharged], [
        str(item.obligation.kind) for item in result.remaining
    ]


def scaling(simulation: Simulation) -> Any:
    return simulation.ports.scaling.describe(simulation.service_settings)


def unfence_until_restored(simulation: Simulation) -> None:
    for _ in range(20):
        if not unfence(SERVICE, ANN, simulation.ports).remaining:
            return
        simulation.pass_time(seconds=10)
    raise AssertionError("unfence never restored all settings")


def test_unfence_restores_tasks_first_and_scaling_once_the_tasks_run() -> None:
    simulation, rollback = simulation_left_fenced()
    result = unfence(SERVICE, ANN, simulation.ports)
    assert kinds(result)[0] == ["fence"]
    assert kinds(result)[1][0] == "scaling"
    assert simulation.services.desired_count == 2
    assert not scaling(simulation).is_active
    unfence_until_restored(simulation)
    assert scaling(simulation) == AUTOSCALED
    assert list_obligations_of_operator(SERVICE, simulation.ports) == []
    assert simulation.services.deployment_configuration["deploymentCircuitBreaker"] == {
        "enable": True,
        "rollback": True,
    }
    concluded_rollback = simulation.read(rollback)
    assert concluded_rollback.left_to_operator() == ()
    assert all(o.discharged_at is not None for o in concluded_rollback.obligations)
    assert {a.verb for a in simulation.ledger.actions(SERVICE)} == {"abort", "unfence"}
    assert simulation.ledger.lease(SERVICE) is None


def test_a_report_after_unfence_asks_for_no_further_action() -> None:
    simulation, rollback = simulation_left_fenced()
    unfence_until_restored(simulation)
    concluded_rollback = simulation.read(rollback)
    assert "unfence" not in message(concluded_rollback, simulation.service_settings)
    assert is_page(concluded_rollback)  # an operator has to find out why it was aborted


def test_unfence_keeps_a_desired_count_above_the_recorded_count() -> None:
    simulation, _ = simulation_left_fenced()
    simulation.services.update(simulation.service_settings, desired_count=3, force_new_deployment=True)
    unfence_until_restored(simulation)
    assert simulation.services.desired_count == 3


def test_unfence_says_that_a_failed_deployment_starts_no_tasks() -> None:
    simulation, _ = simulation_left_fenced()
    simulation.services.update(simulation.service_settings, desired_count=2)
    result = unfence(SERVICE, ANN, simulation.ports)
    assert result.remaining
    assert result.service_state.startswith("0 of 2 tasks run, rollout FAILED: a failed deployment starts no tasks")
    assert "--service macro-ai-production-service --force-new-deployment" in result.service_state


def test_unfence_restores_no_setting_twice() -> None:
    simulation, _ = simulation_left_fenced()
    unfence_until_restored(simulation)
    with pytest.raises(InvalidRequest, match="no setting of express-api was left to an operator"):
        unfence(SERVICE, ANN, simulation.ports)


def test_unfence_restores_no_setting_of_a_live_rollback() -> None:
    simulation, rollback = start_simulation_at_zero()
    with pytest.raises(InvalidRequest, match=f"{rollback.id} .*it has fenced the service: desired count 0"):
        unfence(SERVICE, ANN, simulation.ports, force=True)
    assert simulation.services.desired_count == 0


def test_unfence_during_another_rollback_needs_force() -> None:
    simulation, _ = simulation_left_fenced()
    second_rollback = simulation.admit({}, "execution-2")
    with pytest.raises(
        InvalidRequest, match=f"in progress: {second_rollback.id}.*rollback abort production {second_rollback.id}"
    ):
        unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 0
    assert kinds(unfence(SERVICE, ANN, simulation.ports, force=True))[0] == ["fence"]
    lease = simulation.ledger.lease(SERVICE)
    assert lease is not None
    assert lease.holder == second_rollback.id


def test_unfence_gives_way_to_a_rollback_that_begins_at_the_same_moment() -> None:
    simulation, _ = simulation_left_fenced()
    record = simulation.ledger.record_action

    def record_and_admit(action: Any) -> None:
        record(action)
        simulation.admit({}, "execution-2")

    simulation.ledger.record_action = record_and_admit  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="has just begun"):
        unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 0


def test_unfence_needs_force_to_overwrite_scaling_that_was_changed_after_the_rollback() -> None:
    simulation, _ = simulation_left_fenced()
    changed_scaling = AUTOSCALED.model_copy(update={"max_capacity": 40})
    simulation.ports.scaling.put(simulation.service_settings, changed_scaling)
    with pytest.raises(InvalidRequest, match=r"max_capacity=40.*neither the recorded value"):
        unfence(SERVICE, ANN, simulation.ports)
    assert scaling(simulation) == changed_scaling


def test_unfence_needs_force_to_start_a_rolled_back_release() -> None:
    simulation, rollback = simulation_left_fenced()
    v1 = next(r for r in simulation.ledger.releases(SERVICE) if r.version == "v1")
    simulation.ledger.set_release_state(v1, SUSPECT, simulation.clock.now(), "left by another rollback")
    with pytest.raises(InvalidRequest, match=r"v1 would be started, which is suspect.*--type emergency"):
        unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 0
    assert simulation.read(rollback) == rollback
    assert kinds(unfence(SERVICE, ANN, simulation.ports, force=True))[0] == ["fence"]


def test_unfence_refuses_a_service_without_obligations() -> None:
    simulation = start_simulation()
    simulation.run()
    with pytest.raises(InvalidRequest, match="nothing was changed"):
        unfence(SERVICE, ANN, simulation.ports)
    assert list(simulation.ledger.actions(SERVICE)) == []


def simulation_left_unprotected() -> tuple[DatabaseSimulation, Rollback]:
    """Run a rollback until it has unprotected the branch, and conclude it while Neon refuses calls."""
    simulation = DatabaseSimulation()
    rollback = simulation.admit()
    while "update_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    read_branch = simulation.neon.branch
    simulation.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    run_step(rollback.id, Step.CONCLUDE, simulation.ports, "AccessRefused: 403")
    rollback = simulation.run_until(rollback)
    simulation.neon.branch = read_branch  # type: ignore[method-assign]
    return simulation, rollback


def test_unfence_protects_a_branch_again_and_the_page_names_the_command() -> None:
    simulation, rollback = simulation_left_unprotected()
    assert not simulation.branch.protected
    assert simulation.services.desired_count == 2, "the data is untouched, and no service waits for Neon"
    assert [obligation.kind for obligation in rollback.left_to_operator()] == [ObligationKind.BRANCH_PROTECTION]
    assert "rollback unfence production --service express-api" in simulation.pages()[-1]
    assert kinds(unfence(SERVICE, ANN, simulation.ports)) == (["branch_protection"], [])
    assert simulation.branch.protected
    assert simulation.read(rollback).left_to_operator() == ()


def test_an_unreadable_branch_delays_no_other_obligation() -> None:
    simulation, rollback = simulation_left_unprotected()
    fence = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}, handed_to=OPERATOR)
    assert simulation.services.desired_count == 2
    simulation.ledger.save(rollback.evolve(obligations=(fence, *rollback.obligations)))
    simulation.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    assert kinds(unfence(SERVICE, ANN, simulation.ports)) == (["fence"], ["branch_protection"])


def calls_of_an_unfence() -> int:
    (simulation, _), injector = simulation_left_fenced(), FaultInjector()
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, injector), services=CrashingProxy(simulation.services, injector)
    )
    unfence(SERVICE, ANN, simulation.ports)
    return injector.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_unfence() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupted_unfence_is_completed_by_the_next_unfence(kill_at: int, after: bool) -> None:
    (simulation, rollback), injector = simulation_left_fenced(), FaultInjector(kill_at, after=after)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, injector), services=CrashingProxy(simulation.services, injector)
    )
    with pytest.raises(ProcessKilled):
        unfence(SERVICE, ANN, simulation.ports)
    injector.restart_process()
    if simulation.services.desired_count:
        assert "unfence" in {a.verb for a in simulation.ledger.actions(SERVICE)}
    simulation.clock.pass_time(
        minutes=simulation.policy.lease_minutes
    )  # past the lease that the interrupted call may have left
    unfence_until_restored(simulation)
    assert scaling(simulation) == AUTOSCALED
    assert simulation.read(rollback).left_to_operator() == ()


def test_the_janitor_does_not_release_a_lease_that_unfence_uses() -> None:
    """The lease names a concluded rollback, and unfence uses that lease."""
    simulation, _ = simulation_left_fenced()
    update = simulation.services.update

    def sweep_and_update(*arguments: Any, **options: Any) -> None:
        sweep(simulation.ports)
        assert simulation.ledger.lease(SERVICE) is not None
        update(*arguments, **options)

    simulation.services.update = sweep_and_update  # type: ignore[method-assign]
    unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 2
