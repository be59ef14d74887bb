"""The function `approve`: a mistake is an answer with a text, and only a proof that STS confirms names a person."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.identity import FakeIdentityProofs
from simulations.service import Simulation, start_simulation
from support.builders import NOW, SERVICE, rollback

from rollback.approval.answer import DECISIONS, answer_decision
from rollback.approval.decide import await_approval
from rollback.domain.approval.gate import Approval, ApprovedFacts
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import purpose_of_decision
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.request import Trigger
from rollback.domain.rollback import Rollback
from rollback.ports.all_ports import AllPorts

ADA, BEN = (f"arn:aws:sts::123456789012:assumed-role/OnCall/{name}" for name in ("ada", "ben"))
TOKEN, REASON = "token-1", "the plan is right"
POLICY = ApprovalPolicy(four_eyes=True, approvers=("arn:aws:iam::123456789012:role/OnCall",))


@dataclass
class Gate:
    """A rollback that Ada started, and that waits under a token."""

    policy: ApprovalPolicy = POLICY
    nonce: str = "nonce-1"
    simulation: Simulation = field(default_factory=start_simulation)

    def __post_init__(self) -> None:
        ports = self.simulation.ports
        settings = ports.settings.model_copy(update={"approval": self.policy})
        self.sts = FakeIdentityProofs()
        self.ports: AllPorts = replace(ports, settings=settings, identity_proofs=self.sts)
        opened = Approval(
            requested_at=NOW,
            expires_at=NOW + timedelta(hours=1),
            reasons=("full",),
            nonce=self.nonce,
            approved_facts=ApprovedFacts(type="full", running="f" * 64),
        )
        ada = Identity(arn=ADA, is_verified=True)
        document = rollback(trigger=Trigger.MANUAL, requester=ada, approval=opened, admitted_at=NOW)
        self.rollback: Rollback = ports.ledger.create(document)
        self.simulation.workflow.waiting.add(TOKEN)
        assert await_approval(self.rollback.id, TOKEN, self.ports)

    def decide(self, arn: str | None, decision: str = "approve", **changes: Any) -> dict[str, Any]:
        fields = {"rollback_id": self.rollback.id, "decision": decision, "reason": REASON, "claimed_name": "ben@laptop"}
        return answer_decision(fields | ({"proof": self.proof(arn, decision)} if arn else {}) | changes, self.ports)

    def proof(self, arn: str, decision: str = "approve", nonce: str | None = None, seconds_ago: int = 0) -> Any:
        purpose = purpose_of_decision(self.rollback.id, nonce or self.nonce, DECISIONS[decision], REASON)
        at = self.ports.clock.now() - timedelta(seconds=seconds_ago)
        return self.sts.sign(arn, purpose, f"{at:%Y%m%dT%H%M%SZ}")

    def is_undecided(self) -> bool:
        return self.ports.ledger.approval_decision(self.rollback.id, self.nonce) is None


def refusal(answer: dict[str, Any]) -> str:
    assert answer["ok"] is False
    assert answer["error"]["kind"] == "refused"
    return str(answer["error"]["text"])


@pytest.mark.parametrize("decision", DECISIONS)
def test_another_person_decides_and_wakes_the_execution(decision: str) -> None:
    gate = Gate()
    answer = gate.decide(BEN, decision)

    assert (answer["ok"], answer["decided_by"], answer["is_verified"], answer["is_woken"]) == (True, BEN, True, True)
    recorded = gate.ports.ledger.approval_decision(gate.rollback.id, gate.nonce)
    assert recorded is not None
    assert (recorded.kind, recorded.by, recorded.reason) == (DECISIONS[decision], BEN, REASON)
    assert gate.simulation.workflow.woken == [TOKEN]
    assert TOKEN not in str(answer)


def test_the_requester_may_not_decide() -> None:
    gate = Gate()
    assert "demands that another person decides" in refusal(gate.decide(ADA))
    assert gate.is_undecided()


def test_a_person_of_another_role_may_not_decide() -> None:
    gate = Gate()
    assert "is no approver" in refusal(gate.decide(BEN.replace("OnCall", "Developer")))
    assert gate.is_undecided()


def test_a_decision_without_a_proof_is_refused_where_the_policy_names_people() -> None:
    gate = Gate()
    assert "gave no proof of identity" in refusal(gate.decide(None))
    assert gate.is_undecided()


def test_a_decision_without_a_proof_is_recorded_as_unverified_where_iam_alone_decides() -> None:
    gate = Gate(ApprovalPolicy())
    answer = gate.decide(None)

    assert (answer["decided_by"], answer["is_verified"]) == ("unverified: ben@laptop", False)
    assert "no proof" in answer["problem"]


@pytest.mark.parametrize(
    ("replay", "expected"),
    [
        ({"nonce": "of another rollback"}, "signed for another decision"),
        ({"decision": "reject"}, "signed for another decision"),
        ({"seconds_ago": 61}, "older than 60 s"),
    ],
)
def test_a_replayed_proof_names_nobody(replay: dict[str, Any], expected: str) -> None:
    gate = Gate()
    text = refusal(gate.decide(None, proof=gate.proof(BEN, **replay)))

    assert "the proof of identity does not count" in text
    assert expected in text
    assert gate.is_undecided()
    assert not gate.sts.asked, "STS was asked about a proof that can't count"


def test_a_proof_that_sts_does_not_confirm_names_nobody() -> None:
    gate = Gate()
    proof = gate.proof(BEN)
    gate.sts.signers.clear()

    assert "STS did not confirm" in refusal(gate.decide(None, proof=proof))
    assert gate.is_undecided()


def test_without_sts_nobody_is_verified() -> None:
    gate = Gate()
    gate.sts.is_down = True

    assert "STS gave no answer" in refusal(gate.decide(BEN))
    assert gate.is_undecided()


def test_the_first_decision_counts() -> None:
    gate = Gate()
    gate.decide(BEN)

    assert "is decided already: approved" in refusal(gate.decide(BEN, "reject"))
    assert gate.simulation.workflow.woken == [TOKEN]


def test_a_late_decision_is_refused() -> None:
    gate = Gate()
    gate.simulation.clock.pass_time(hours=1)

    assert "the time to decide" in refusal(gate.decide(BEN))
    assert gate.is_undecided()


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"rollback_id": "x", "decision": "approve"},
        {"rollback_id": "x", "decision": "approve", "reason": "y", "extra": 1},
        {"rollback_id": 7, "decision": "approve", "reason": "y"},
        {"rollback_id": "x" * 201, "decision": "approve", "reason": "y"},
        {"rollback_id": "x", "decision": "approved", "reason": "y"},
        {"rollback_id": "x", "decision": "approve", "reason": "y" * 100_000},
        {"rollback_id": "x", "decision": "approve", "reason": "y", "claimed_name": ["z"]},
        {"rollback_id": "no-such-rollback", "decision": "approve", "reason": "y"},
        {"rollback_id": "", "decision": "approve", "reason": "y"},
        {"rollback_id": f"{SERVICE}-20260301T030000Z-00000000", "decision": "approve", "reason": " "},
    ],
)
def test_a_mistake_is_an_answer_that_says_that_nothing_was_changed(event: Any) -> None:
    gate = Gate()
    assert "nothing was changed" in refusal(answer_decision(event, gate.ports))
    assert gate.is_undecided()
