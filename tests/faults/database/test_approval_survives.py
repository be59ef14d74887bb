"""Crashes of a full rollback that waits for an approval, after every external call of its gate and its end."""

from dataclasses import dataclass, replace

import pytest
from faults.scenarios.crash import FaultInjector, ProcessKilled
from faults.scenarios.full import V1, FullIncident
from simulations.database import BAD, BRANCH, GOOD
from support.builders import SERVICE

from rollback.approval.decide import await_approval, take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import InvalidRequest

GRACE = Identity(arn="arn:aws:sts::123456789012:assumed-role/OnCall/grace", is_verified=True)
APPROVED, REJECTED = DecisionKind.APPROVED, DecisionKind.REJECTED
VERBS = {APPROVED: "approve", REJECTED: "reject"}


@dataclass
class GatedIncident(FullIncident):
    """Full rollback whose approval a person decides once the rollback has waited for five minutes."""

    decision: DecisionKind | None = None
    is_decided: bool = False
    calls_until_replanned: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = self.real.settings.model_copy(update={"approval": ApprovalPolicy()})
        self.real, self.ports = replace(self.real, settings=settings), replace(self.ports, settings=settings)

    def pass_time(self, **duration: float) -> None:
        waiting = [document for document in self.documents() if document.is_at_gate]
        for document in waiting:
            self.decide(document)
        is_replanned = any(one.approval is not None and one.approval.replanned_at for one in self.documents())
        if is_replanned and self.calls_until_replanned is None:
            self.calls_until_replanned = self.outside.calls
        super().pass_time(**duration)

    def decide(self, document: Rollback) -> None:
        """Store the execution's token, and then decide; a killed process is started again."""
        if self.decision is None or self.is_decided:
            return
        for _ in range(3):
            try:
                await_approval(document.id, "token-1", self.ports)
                take_decision(document.id, self.decision, "checked", GRACE, self.ports)
            except ProcessKilled:
                self.outside.restart_process()
            except InvalidRequest:  # the crash came after the decision
                break
            else:
                break
        self.is_decided = True

    def requests(self) -> list[str]:
        return [sent.message for sent in self.notifications.sent if "waits for an approval" in sent.message]


def count_calls(decision: DecisionKind | None) -> int:
    """Count the calls up to the first wait after the second plan; the calls after it have tests of their own."""
    incident = GatedIncident(decision=decision)
    incident.deliver("execution-1")
    return incident.calls_until_replanned or incident.outside.calls


CASES = [
    pytest.param(decision, kill_at, id=f"{decision or 'nobody'}-{kill_at}")
    for decision in (APPROVED, REJECTED, None)
    for kill_at in range(1, count_calls(decision) + 1)
]


@pytest.mark.parametrize(("decision", "kill_at"), CASES)
def test_a_rollback_at_a_gate_that_is_killed_at_any_call_and_retried_ends_as_decided(
    decision: DecisionKind | None, kill_at: int
) -> None:
    incident = GatedIncident(FaultInjector(kill_at, after=True), decision=decision)
    incident.deliver("execution-1")
    (only,) = incident.documents()
    assert only.concluded_at is not None
    if decision is APPROVED:
        assert (only.outcome, incident.neon.rows(BRANCH)) == (Outcome.SUCCEEDED, GOOD), only.reason
        assert incident.neon.calls.count("restore") == 1
        assert incident.running_fingerprint() == V1
    else:
        assert (only.outcome, incident.neon.rows(BRANCH)) == (Outcome.REJECTED, GOOD + BAD), only.reason
        assert incident.neon.calls == []
    assert only.approval is not None
    assert only.approval.decision is not None
    assert only.approval.decision.kind is (decision or DecisionKind.EXPIRED)
    actions = [(action.verb, action.subject) for action in incident.ledger.actions(SERVICE)]
    assert actions == ([] if decision is None else [(VERBS[decision], only.id)])
    assert len(incident.requests()) in (1, 2)  # twice only after a crash between the message and its record
    assert len({message.rpartition("Request ")[2] for message in incident.requests()}) == 1
    assert incident.ledger.lease(SERVICE) is None
    assert incident.ledger.lease(incident.branch_key) is None


def test_without_a_crash_a_decision_is_asked_for_once() -> None:
    for decision in (APPROVED, REJECTED, None):
        incident = GatedIncident(decision=decision)
        incident.deliver("execution-1")
        assert len(incident.requests()) == 1


@pytest.mark.parametrize(("decision", "kill_at"), CASES)
def test_a_rollback_at_a_gate_that_is_killed_and_never_retried_is_concluded_by_the_janitor(
    decision: DecisionKind | None, kill_at: int
) -> None:
    incident = GatedIncident(FaultInjector(kill_at, after=True), decision=decision)
    try:
        incident.deliver("execution-1", retries=False)
    except ProcessKilled:
        incident.is_decided = True  # the crash is not the person's: nobody decides any more
    if not incident.documents():
        pytest.skip("no document was written yet: the janitor finds the alarm by its history, see its tests")
    incident.alarms.recover(next(iter(incident.alarms.in_alarm), ""))  # so that the janitor starts nothing new
    incident.sweep_until_quiet()
    incident.pass_time(minutes=10)  # the leases of the dead process have expired by then

    (only,) = incident.documents()
    assert only.concluded_at is not None
    assert only.open_obligations() == ()
    incident.assert_no_data_loss()
    if only.approval is None or only.approval.replanned_at is None:
        assert incident.neon.calls == []
        assert incident.neon.rows(BRANCH) == GOOD + BAD
