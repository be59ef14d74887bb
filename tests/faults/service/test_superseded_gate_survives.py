"""Crashes of an emergency that ends the gate of a waiting rollback, after every external call of both."""

from dataclasses import dataclass, replace

import pytest
from faults.scenarios.crash import FaultInjector
from faults.scenarios.service import Incident
from simulations.fake_ports import OUTAGE
from simulations.service import alarm_event
from support.builders import SERVICE, release

from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.rollback import Outcome

FORCED = {"force": True, "reason": "try", "requested_by": "ada"}
V1 = release("v1").fingerprint


@dataclass
class SupersededIncident(Incident):
    """Forced rollback that waits for an approval when the outage alarm fires."""

    is_outage: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        approval = ApprovalPolicy(required_for=(ApprovalReason.FORCED,))
        settings = self.real.settings.model_copy(update={"approval": approval})
        self.real, self.ports = replace(self.real, settings=settings), replace(self.ports, settings=settings)

    def pass_time(self, **duration: float) -> None:
        super().pass_time(**duration)
        if not self.is_outage and any(document.is_at_gate for document in self.documents()):
            self.is_outage = True
            self.alarms.fire(OUTAGE, self.clock.now())
            self.deliver("execution-2", alarm_event("e2", OUTAGE, self.clock.now()))


def deliver(incident: SupersededIncident) -> None:
    incident.deliver("execution-1", FORCED)


def count_calls() -> int:
    incident = SupersededIncident()
    deliver(incident)
    return incident.outside.calls


@pytest.mark.parametrize("kill_at", range(1, count_calls() + 1))
def test_an_emergency_killed_at_any_call_ends_the_waiting_gate_and_the_outage(kill_at: int) -> None:
    incident = SupersededIncident(FaultInjector(kill_at, after=True))
    deliver(incident)
    waiting, emergency = incident.documents()
    assert (emergency.outcome, incident.running_fingerprint()) == (Outcome.SUCCEEDED, V1), emergency.reason
    assert emergency.approval is None
    assert (waiting.outcome, waiting.taken_over_by) == (Outcome.ABORTED, emergency.id), waiting.reason
    assert waiting.approval is not None
    assert waiting.approval.decision is not None
    assert waiting.approval.decision.kind is DecisionKind.SUPERSEDED
    assert not waiting.has_acted
    assert incident.ledger.lease(SERVICE) is None
