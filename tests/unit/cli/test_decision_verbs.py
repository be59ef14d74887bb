"""`rollback approve` and `rollback reject`, typed by a person; the function `approve` answers on a simulation."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakes.identity import FakeIdentityProofs
from simulations.database import DatabaseSimulation
from simulations.terminal import At, SimulatedDeployment, Terminal

from rollback.approval.answer import answer_decision
from rollback.domain.approval.gate import Decision
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli import deployed_stack, send_decision
from rollback_cli.shell import aws_session

BEN = "arn:aws:sts::123456789012:assumed-role/OnCall/ben"
REASON = ("--reason", "the plan is right")
VERBS = {"approve": "approved", "reject": "rejected"}


@dataclass
class Desk:
    """A terminal at which Ben decides about a rollback that waits; `payloads` are those that the function got."""

    terminal: At
    monkeypatch: pytest.MonkeyPatch
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    function: str | None = "production-rollback-approve"

    def __post_init__(self) -> None:
        self.sts = FakeIdentityProofs()
        self.payloads: list[dict[str, Any]] = []
        self.failure = ""
        self.simulation = simulation = DatabaseSimulation(Policy(), approval=self.approval)
        simulation.replace(identity_proofs=self.sts)
        request = {"type": "full", "requested_by": "ada", "reason": "v2 is bad"}
        rollback = simulation.run_until(simulation.admit(request), Step.APPROVE)
        run_step(rollback.id, Step.APPROVE, simulation.ports)
        self.rollback: Rollback = simulation.read(rollback)
        self.type: Terminal = self.terminal(simulation)
        deployment = SimulatedDeployment(
            simulation.ports.settings, "ledger", "topic", "critical", "workflow", simulation,
            approve_function=self.function,
        )  # fmt: skip
        self.monkeypatch.setattr(deployed_stack, "find_deployment", lambda _: deployment)
        self.monkeypatch.setattr(send_decision, "sign_proof", self.sign)
        self.monkeypatch.setattr(aws_session, "make_client", lambda _: self)

    def sign(self, purpose: str) -> dict[str, object]:
        return self.sts.sign(BEN, purpose, f"{self.simulation.clock.now():%Y%m%dT%H%M%SZ}")

    def invoke(self, **call: Any) -> dict[str, Any]:
        """Answer as AWS Lambda does."""
        assert call["FunctionName"] == self.function
        payload = json.loads(call["Payload"])
        self.payloads.append(payload)
        if self.failure:
            error = json.dumps({"errorMessage": self.failure, "errorType": "ExternalServiceError"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(error.encode())}
        answer = answer_decision(payload, self.simulation.ports)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def decision(self) -> Decision | None:
        assert self.rollback.approval is not None
        return self.simulation.ledger.approval_decision(self.rollback.id, self.rollback.approval.nonce)


@pytest.mark.parametrize("verb", VERBS)
def test_a_decision_is_stored_with_the_verified_name_and_said_in_words(
    terminal: At, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    desk = Desk(terminal, monkeypatch)
    code = desk.type(verb, "production", desk.rollback.id, *REASON)

    assert code == 0, desk.type.said
    decision = desk.decision()
    assert decision is not None
    assert (decision.kind, decision.by, decision.is_verified) == (VERBS[verb], BEN, True)
    assert decision.reason == "the plan is right"
    said = " ".join(desk.type.said.split())
    assert f"{desk.rollback.id} is {VERBS[verb]} by {BEN}" in said
    assert "unverified" not in said.partition(f"is {VERBS[verb]} by")[2]


def test_the_person_sees_the_plan_before_the_decision(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(terminal, monkeypatch)
    desk.type("approve", "production", desk.rollback.id, *REASON)

    plan, _, answer = desk.type.said.partition(f"is approved by {BEN}")
    assert "waits for an approval" in plan
    assert "restore point: 0/82 at 2026-03-01 02:30:00" in plan
    assert "goes to: v1" in plan
    assert answer


@pytest.mark.parametrize("verb", VERBS)
def test_a_decision_needs_a_reason(terminal: At, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    desk = Desk(terminal, monkeypatch)
    assert desk.type(verb, "production", desk.rollback.id) == 2
    assert "--reason" in desk.type.said
    assert desk.type(verb, "production", desk.rollback.id, "--reason", " ") == 2
    assert "the reason is empty" in desk.type.said
    assert desk.payloads == []


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_rollback_is_an_error_that_names_the_history(
    terminal: At, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    desk = Desk(terminal, monkeypatch)
    assert desk.type(verb, "production", "express-api-20260301T030000000Z-00000000", *REASON) == 2
    assert "`rollback history production` lists the rollbacks" in " ".join(desk.type.said.split())
    assert desk.payloads == []


def test_an_environment_without_approvals_says_so(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(terminal, monkeypatch, function=None)
    assert desk.type("approve", "production", desk.rollback.id, *REASON) == 2
    assert "its setting approval asks for none" in " ".join(desk.type.said.split())
    assert desk.payloads == []


def test_a_refusal_has_its_own_exit_code_and_says_why(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(terminal, monkeypatch, ApprovalPolicy(approvers=("arn:aws:iam::*:role/DatabaseAdmin",)))
    assert desk.type("approve", "production", desk.rollback.id, *REASON) == 1
    said = " ".join(desk.type.said.split())
    assert "refused: " in said
    assert "is no approver" in said
    assert desk.decision() is None


def test_a_second_decision_names_the_first(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(terminal, monkeypatch)
    desk.type("reject", "production", desk.rollback.id, *REASON)
    assert desk.type("approve", "production", desk.rollback.id, *REASON) == 1
    assert "is decided already: rejected" in " ".join(desk.type.said.split())


def test_a_decision_without_sts_is_stored_as_unverified_and_the_person_is_told(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(terminal, monkeypatch)
    desk.sts.is_down = True
    assert desk.type("approve", "production", desk.rollback.id, *REASON) == 0
    assert "The identity is recorded as unverified: STS gave no answer" in " ".join(desk.type.said.split())
    decision = desk.decision()
    assert decision is not None
    assert (decision.by, decision.is_verified) == ("unverified: ann@desk", False)


def test_a_function_that_fails_leaves_it_open_whether_the_decision_is_stored(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(terminal, monkeypatch)
    desk.failure = "DynamoDB gave no answer"
    assert desk.type("approve", "production", desk.rollback.id, *REASON) != 0
    said = " ".join(desk.type.said.split())
    assert "DynamoDB gave no answer" in said
    assert "the decision may be stored: send it again to find out" in said


def test_a_person_without_credentials_decides_nothing(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(terminal, monkeypatch)

    def refuse(purpose: str) -> dict[str, object]:
        raise CallRefused("AWS STS: there are no credentials")

    monkeypatch.setattr(send_decision, "sign_proof", refuse)
    assert desk.type("approve", "production", desk.rollback.id, *REASON) != 0
    assert "there are no credentials" in " ".join(desk.type.said.split())
    assert desk.payloads == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_direct_decision_is_stored_without_the_function_and_with_the_verified_name(
    terminal: At, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    desk = Desk(terminal, monkeypatch)
    desk.failure = "the function is broken"
    assert desk.type(verb, "production", desk.rollback.id, *REASON, "--direct") == 0
    decision = desk.decision()
    assert decision is not None
    assert (decision.kind, decision.by, decision.is_verified) == (VERBS[verb], BEN, True)
    assert desk.payloads == []


def test_a_direct_decision_of_a_person_who_is_no_approver_is_refused(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(terminal, monkeypatch, ApprovalPolicy(approvers=("arn:aws:iam::*:role/Lead",)))
    assert desk.type("approve", "production", desk.rollback.id, *REASON, "--direct") == 2
    assert "is no approver" in desk.type.said
    assert desk.decision() is None
