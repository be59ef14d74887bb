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
    simulation, rollback = start_simulation_at_zero()
    abort(rollback.id, ANN, simulation.ports)
    done = wait_until_concluded(rollback.id, simulation.ports, lambda seconds: simulation.pass_time(seconds=seconds))
    assert simulation.services.desired_count == 0
    simulation.services.behaviours.clear()
    simulation.services.calls.clear()
    return simulation, done


def kinds(unfenced: UnfenceResult) -> tuple[list[str], list[str]]:
    return [str(one.obligation.kind) for one in unfenced.discharged], [
        str(one.obligation.kind) for one in unfenced.remaining
    ]


def scaling(simulation: Simulation) -> Any:
    return simulation.ports.scaling.describe(simulation.service_settings)


def until_put_back(simulation: Simulation) -> None:
    for _ in range(20):
        if not unfence(SERVICE, ANN, simulation.ports).remaining:
            return
        simulation.pass_time(seconds=10)
    raise AssertionError("never put back")


def test_unfence_restores_tasks_first_and_scaling_once_they_run() -> None:
    simulation, rollback = left_fenced()
    first = unfence(SERVICE, ANN, simulation.ports)
    assert kinds(first)[0] == ["fence"]
    assert kinds(first)[1][0] == "scaling"
    assert simulation.services.desired_count == 2
    assert not scaling(simulation).is_active
    until_put_back(simulation)
    assert scaling(simulation) == AUTOSCALED
    assert list_obligations_of_operator(SERVICE, simulation.ports) == []
    assert simulation.services.deployment_configuration["deploymentCircuitBreaker"] == {
        "enable": True,
        "rollback": True,
    }
    done = simulation.read(rollback)
    assert done.left_to_operator() == ()
    assert all(o.discharged_at is not None for o in done.obligations)
    assert {a.verb for a in simulation.ledger.actions(SERVICE)} == {"abort", "unfence"}
    assert simulation.ledger.lease(SERVICE) is None


def test_a_report_after_unfence_asks_for_no_further_action() -> None:
    simulation, rollback = left_fenced()
    until_put_back(simulation)
    done = simulation.read(rollback)
    assert "unfence" not in message(done, simulation.service_settings)
    assert is_page(done)  # an operator has to find out why it was aborted


def test_unfence_keeps_a_desired_count_above_the_recorded_one() -> None:
    simulation, _ = left_fenced()
    simulation.services.update(simulation.service_settings, desired_count=3, force_new_deployment=True)
    until_put_back(simulation)
    assert simulation.services.desired_count == 3


def test_unfence_says_that_a_failed_deployment_starts_no_tasks() -> None:
    simulation, _ = left_fenced()
    simulation.services.update(simulation.service_settings, desired_count=2)
    unfenced = unfence(SERVICE, ANN, simulation.ports)
    assert unfenced.remaining
    assert unfenced.service_state.startswith("0 of 2 tasks run, rollout FAILED: a failed deployment starts no tasks")
    assert "--service macro-ai-production-service --force-new-deployment" in unfenced.service_state


def test_unfence_puts_no_setting_back_twice() -> None:
    simulation, _ = left_fenced()
    until_put_back(simulation)
    with pytest.raises(InvalidRequest, match="no setting of express-api was left to an operator"):
        unfence(SERVICE, ANN, simulation.ports)


def test_unfence_does_not_put_back_settings_of_a_live_rollback() -> None:
    simulation, rollback = start_simulation_at_zero()
    with pytest.raises(InvalidRequest, match=f"{rollback.id} .*it has fenced the service: desired count 0"):
        unfence(SERVICE, ANN, simulation.ports, force=True)
    assert simulation.services.desired_count == 0


def test_unfence_beside_another_rollback_needs_force() -> None:
    simulation, _ = left_fenced()
    other = simulation.admit({}, "execution-2")
    with pytest.raises(InvalidRequest, match=f"in progress: {other.id}.*rollback abort production {other.id}"):
        unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 0
    assert kinds(unfence(SERVICE, ANN, simulation.ports, force=True))[0] == ["fence"]
    held = simulation.ledger.lease(SERVICE)
    assert held is not None
    assert held.holder == other.id


def test_unfence_gives_way_to_a_rollback_that_begins_at_the_same_moment() -> None:
    simulation, _ = left_fenced()
    record = simulation.ledger.record_action

    def another_begins(action: Any) -> None:
        record(action)
        simulation.admit({}, "execution-2")

    simulation.ledger.record_action = another_begins  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="has just begun"):
        unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 0


def test_unfence_needs_force_to_overwrite_scaling_that_was_changed_since() -> None:
    simulation, _ = left_fenced()
    theirs = AUTOSCALED.model_copy(update={"max_capacity": 40})
    simulation.ports.scaling.put(simulation.service_settings, theirs)
    with pytest.raises(InvalidRequest, match=r"max_capacity=40.*neither the recorded value"):
        unfence(SERVICE, ANN, simulation.ports)
    assert scaling(simulation) == theirs


def test_unfence_needs_force_to_start_a_rolled_back_release() -> None:
    simulation, rollback = left_fenced()
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


def left_unprotected() -> tuple[DatabaseSimulation, Rollback]:
    """Neon refuses calls after the branch was unprotected."""
    simulation = DatabaseSimulation()
    rollback = simulation.admit()
    while "update_branch" not in simulation.neon.calls:
        rollback = simulation.run_due_step(rollback)
    real = simulation.neon.branch
    simulation.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    run_step(rollback.id, Step.CONCLUDE, simulation.ports, "AccessRefused: 403")
    rollback = simulation.run_until(rollback)
    simulation.neon.branch = real  # type: ignore[method-assign]
    return simulation, rollback


def test_unfence_protects_a_branch_again_and_the_page_names_the_command() -> None:
    simulation, rollback = left_unprotected()
    assert not simulation.branch.protected
    assert simulation.services.desired_count == 2, "the data is untouched, and no service waits for Neon"
    assert [obligation.kind for obligation in rollback.left_to_operator()] == [ObligationKind.BRANCH_PROTECTION]
    assert "rollback unfence production --service express-api" in simulation.pages()[-1]
    assert kinds(unfence(SERVICE, ANN, simulation.ports)) == (["branch_protection"], [])
    assert simulation.branch.protected
    assert simulation.read(rollback).left_to_operator() == ()


def test_a_branch_that_can_not_be_read_from_here_delays_no_other_obligation() -> None:
    simulation, rollback = left_unprotected()
    fence = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}, handed_to=OPERATOR)
    assert simulation.services.desired_count == 2
    simulation.ledger.save(rollback.evolve(obligations=(fence, *rollback.obligations)))
    simulation.neon.branch = raise_error(AccessRefused("403"))  # type: ignore[method-assign]
    assert kinds(unfence(SERVICE, ANN, simulation.ports)) == (["fence"], ["branch_protection"])


def calls_of_an_unfence() -> int:
    (simulation, _), outside = left_fenced(), FaultInjector()
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, outside), services=CrashingProxy(simulation.services, outside)
    )
    unfence(SERVICE, ANN, simulation.ports)
    return outside.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_an_unfence() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_unfence_interrupted_at_any_call_continues_where_it_was(kill_at: int, after: bool) -> None:
    (simulation, rollback), outside = left_fenced(), FaultInjector(kill_at, after=after)
    simulation.replace(
        ledger=CrashingProxy(simulation.ledger, outside), services=CrashingProxy(simulation.services, outside)
    )
    with pytest.raises(ProcessKilled):
        unfence(SERVICE, ANN, simulation.ports)
    outside.restart_process()
    if simulation.services.desired_count:
        assert "unfence" in {a.verb for a in simulation.ledger.actions(SERVICE)}
    simulation.clock.pass_time(
        minutes=simulation.policy.lease_minutes
    )  # past the lease that the interrupted call may have left
    until_put_back(simulation)
    assert scaling(simulation) == AUTOSCALED
    assert simulation.read(rollback).left_to_operator() == ()


def test_the_janitor_does_not_release_a_lease_that_unfence_uses() -> None:
    """The lease is in the name of a concluded rollback, and is in use all the same."""
    simulation, _ = left_fenced()
    update = simulation.services.update

    def swept_meanwhile(*given: Any, **named: Any) -> None:
        sweep(simulation.ports)
        assert simulation.ledger.lease(SERVICE) is not None
        update(*given, **named)

    simulation.services.update = swept_meanwhile  # type: ignore[method-assign]
    unfence(SERVICE, ANN, simulation.ports)
    assert simulation.services.desired_count == 2
