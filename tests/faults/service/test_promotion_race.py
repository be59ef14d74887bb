"""A rollback that takes its lease while a release is judged: the release is not promoted by that judgement."""

from collections.abc import Callable
from typing import Any

import pytest
from faults.scenarios.crash import CrashingProxy
from faults.scenarios.service import PORTS
from simulations.fake_ports import DEGRADED
from simulations.service import CANDIDATE, PROMOTED, QUARANTINED, Simulation, deployment_event, start_simulation
from support.builders import SERVICE

from rollback.domain.rollback import Outcome, Rollback
from rollback.promotion.promote import NextState, PromotionCursor, judge_bake, record_deployment
from rollback.workflow.route import Step


class Interruption:
    """Counter of the calls that leave the process; runs an action once, before one of the calls."""

    def __init__(self, at: int, action: Callable[[], object]) -> None:
        self.calls = 0
        self._at, self._action = at, action

    def call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self._at:
            self._action()
        return method(*args, **named)


def baked_release() -> tuple[Simulation, PromotionCursor]:
    """v2 has baked without alarms and with enough requests."""
    simulation = start_simulation()
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    simulation.alarms.serve(simulation.services.target_groups[0], 1000, simulation.clock.now())
    simulation.pass_time(minutes=15)
    return simulation, cursor


def judge(simulation: Simulation, cursor: PromotionCursor, outside: Interruption) -> PromotionCursor:
    ports = simulation.ports
    proxies = {name: CrashingProxy(getattr(ports, name), outside, only=None) for name in PORTS}  # type: ignore[arg-type]
    simulation.replace(**proxies)
    try:
        return judge_bake(cursor, simulation.ports)
    finally:
        simulation.ports = ports


def calls_of_a_judgement() -> int:
    simulation, cursor = baked_release()
    outside = Interruption(0, lambda: None)
    assert judge(simulation, cursor, outside).next is NextState.DONE
    assert simulation.state_of("v2") is PROMOTED
    return outside.calls


@pytest.mark.parametrize("at", range(1, calls_of_a_judgement() + 1))
@pytest.mark.parametrize("is_over", [False, True], ids=["it runs", "it is over"])
def test_a_rollback_that_begins_at_any_call_of_a_judgement_is_never_overtaken_by_the_promotion(
    at: int, is_over: bool
) -> None:
    simulation, cursor = baked_release()
    real_ports, begun = simulation.ports, []

    def begin_rollback() -> None:
        proxied, simulation.ports = simulation.ports, real_ports
        begun.append((simulation.state_of("v2"), simulation.admit({"reason": "v2 is slow"})))
        assert simulation.ledger.lease(SERVICE) is not None
        if is_over:  # the lease is given back, as after a rollback that was refused
            simulation.ledger.release_lease(SERVICE, begun[0][1].id)
        simulation.ports = proxied

    answer = judge(simulation, cursor, Interruption(at, begin_rollback))

    [(state_before, rollback)] = begun
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    is_target = any(target.release.version == "v2" for target in plan.targets)
    if state_before is PROMOTED:  # the promotion came first, and the rollback knows of it
        assert (simulation.state_of("v2"), is_target) == (PROMOTED, True)
        return
    is_before_the_counter = is_over and at == 1
    if is_before_the_counter:  # this rollback was over before anything was judged
        assert simulation.state_of("v2") is PROMOTED
        return
    assert (answer.next, simulation.state_of("v2"), is_target) == (NextState.WAIT, CANDIDATE, False)
    if not is_over:
        finish(simulation, rollback)


def finish(simulation: Simulation, rollback: Rollback) -> None:
    ended = simulation.run_until(rollback, Step.DONE)
    assert ended.outcome is Outcome.SUCCEEDED
    assert simulation.state_of("v2") is QUARANTINED
