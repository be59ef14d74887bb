"""Crashes of the two functions at a gate: the one that stores the token of a waiting execution, and the decision's.

Whatever dies, one decision counts, and the execution is woken or finds the decision when its timer ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled, crash_points
from simulations.database import BAD, GOOD, DatabaseSimulation
from support.builders import SERVICE

from rollback.approval.decide import await_approval, take_decision
from rollback.domain.approval.gate import Decision, DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step

ADA, GRACE = (
    Identity(arn=f"arn:aws:sts::123456789012:assumed-role/OnCall/{name}", is_verified=True) for name in ("ada", "grace")
)
APPROVED, REJECTED = DecisionKind.APPROVED, DecisionKind.REJECTED
VERBS = {APPROVED: "approve", REJECTED: "reject"}
TOKEN = "token-1"
PORTS = ("ledger", "token_cipher", "workflow")


@dataclass
class Gate:
    """Full rollback that waits for an approval; `fragile` are the ports of a function that may be killed."""

    outside: FaultInjector = field(default_factory=FaultInjector)

    def __post_init__(self) -> None:
        self.simulation = DatabaseSimulation(Policy(), approval=ApprovalPolicy())
        request = {"type": "full", "reason": "v2 is bad", "requested_by": "ben"}
        rollback = self.simulation.run_until(self.simulation.admit(request), Step.APPROVE)
        run_step(rollback.id, Step.APPROVE, self.simulation.ports)
        self.rollback: Rollback = self.simulation.read(rollback)
        self.simulation.workflow.waiting.add(TOKEN)
        real = self.simulation.ports
        proxies = {port: cast("Any", CrashingProxy(getattr(real, port), self.outside, None)) for port in PORTS}
        self.fragile: AllPorts = replace(real, **proxies)

    def wait(self, ports: AllPorts) -> None:
        """Store the token, as the function does when the execution begins to wait."""
        await_approval(self.rollback.id, TOKEN, ports)

    def decide(self, kind: DecisionKind, by: Identity, ports: AllPorts) -> None:
        """Take a person's decision."""
        take_decision(self.rollback.id, kind, "checked", by, ports)

    def decision(self) -> Decision | None:
        """The decision that counts."""
        assert self.rollback.approval is not None
        return self.simulation.ledger.approval_decision(self.rollback.id, self.rollback.approval.nonce)

    def assert_that_it_ends_as_decided(self, kind: DecisionKind, by: Identity) -> None:
        """Let the execution go on, woken or by its timer, and see that the decision counted once."""
        ended = self.simulation.run_to_end(self.rollback)
        assert ended.outcome is (Outcome.SUCCEEDED if kind is APPROVED else Outcome.REJECTED), ended.reason
        assert self.simulation.rows() == (GOOD if kind is APPROVED else GOOD + BAD)
        assert ended.approval is not None
        assert ended.approval.decision is not None
        assert (ended.approval.decision.kind, ended.approval.decision.by) == (kind, by.arn)
        actions = [(action.verb, action.by) for action in self.simulation.ledger.actions(SERVICE)]
        assert actions == [(VERBS[kind], by.arn)]


def waits(gate: Gate) -> None:
    gate.wait(gate.fragile)


def decides(kind: DecisionKind) -> Callable[[Gate], None]:
    return lambda gate: gate.decide(kind, GRACE, gate.fragile)


def points(act: Callable[[Gate], None], *, has_token: bool) -> list[tuple[int, bool]]:
    """List the crashes of a function at a gate."""
    gate = Gate()
    if has_token:
        gate.wait(gate.simulation.ports)
    act(gate)
    return crash_points(gate.outside.calls)


def killed(act: Callable[[Gate], None], point: tuple[int, bool], *, has_token: bool) -> Gate:
    """Kill a function at a gate."""
    at, after = point
    gate = Gate(FaultInjector(at, after=after))
    if has_token:
        gate.wait(gate.simulation.ports)
    with pytest.raises(ProcessKilled):
        act(gate)
    gate.outside.restart_process()
    return gate


@pytest.mark.parametrize("point", points(waits, has_token=False), ids=str)
@pytest.mark.parametrize("kind", [APPROVED, REJECTED], ids=str)
def test_a_function_that_dies_while_it_stores_the_token_loses_no_decision(
    kind: DecisionKind, point: tuple[int, bool]
) -> None:
    gate = killed(waits, point, has_token=False)
    gate.decide(kind, GRACE, gate.simulation.ports)
    assert gate.simulation.workflow.woken in ([], [TOKEN])
    gate.assert_that_it_ends_as_decided(kind, GRACE)


@pytest.mark.parametrize("point", points(waits, has_token=False), ids=str)
def test_a_function_that_dies_while_it_stores_the_token_decides_nothing(point: tuple[int, bool]) -> None:
    gate = killed(waits, point, has_token=False)
    assert gate.decision() is None
    assert gate.simulation.read(gate.rollback).is_at_gate


@pytest.mark.parametrize("point", points(decides(APPROVED), has_token=True), ids=str)
@pytest.mark.parametrize("kind", [APPROVED, REJECTED], ids=str)
def test_a_person_who_decides_again_after_a_crash_decides_once(kind: DecisionKind, point: tuple[int, bool]) -> None:
    gate = killed(decides(kind), point, has_token=True)
    stored = gate.decision()
    if stored is None:
        gate.decide(kind, GRACE, gate.fragile)
        assert gate.simulation.workflow.woken == [TOKEN]
    else:
        with pytest.raises(InvalidRequest, match=f"is decided already: {kind} .* nothing was changed"):
            gate.decide(kind, GRACE, gate.fragile)
        assert gate.decision() == stored
    gate.assert_that_it_ends_as_decided(kind, GRACE)


@pytest.mark.parametrize("point", points(decides(APPROVED), has_token=True), ids=str)
def test_a_contrary_decision_after_a_crash_counts_only_if_the_first_was_not_stored(point: tuple[int, bool]) -> None:
    gate = killed(decides(APPROVED), point, has_token=True)
    if gate.decision() is not None:
        with pytest.raises(InvalidRequest, match="is decided already: approved"):
            gate.decide(REJECTED, ADA, gate.fragile)
        gate.assert_that_it_ends_as_decided(APPROVED, GRACE)
    else:
        gate.decide(REJECTED, ADA, gate.fragile)
        gate.assert_that_it_ends_as_decided(REJECTED, ADA)


@pytest.mark.parametrize("point", points(decides(APPROVED), has_token=True), ids=str)
def test_an_execution_whose_wake_up_died_finds_the_decision_when_its_timer_ends(point: tuple[int, bool]) -> None:
    gate = killed(decides(APPROVED), point, has_token=True)
    if gate.decision() is None:
        assert gate.simulation.workflow.woken == []
        gate.decide(APPROVED, GRACE, gate.simulation.ports)
    gate.simulation.workflow.waiting.add("token-2")  # the timer ended, and the execution waits once more
    await_approval(gate.rollback.id, "token-2", gate.simulation.ports)
    assert gate.simulation.workflow.woken[-1] == "token-2"
    gate.assert_that_it_ends_as_decided(APPROVED, GRACE)
