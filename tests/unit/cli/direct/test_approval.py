"""A direct rollback that needs an approval asks for the decision on its terminal, under the rules of the gate."""

from collections.abc import Sequence
from typing import Any

import pytest
from fakes.identity import FakeIdentityProofs
from fakes.refusal import RefusesAll
from simulations.database import DatabaseSimulation

from rollback.approval.decide import take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, InvalidRequest
from rollback.ports.identity import IdentityProofs
from rollback_cli.direct.approval import ApprovalAtTerminal, decide_in_process
from rollback_cli.direct.run import run_directly

FULL = {"type": "full", "reason": "v2 is bad", "requested_by": "ada"}
ADA = "arn:aws:sts::123456789012:assumed-role/OnCall/ada"
BEN = "arn:aws:sts::123456789012:assumed-role/OnCall/ben"
SERVICE_NAME = "express-api"


class TypedTerminal:
    """A terminal at which a person types these lines; an empty list is a person who types nothing more."""

    def __init__(self, lines: Sequence[str | None] = (), *, is_present: bool = True) -> None:
        self.is_present = is_present
        self.lines = list(lines)

    def read_line(self, seconds: float) -> str | None:
        assert seconds > 0
        return self.lines.pop(0) if self.lines else None


class Desk:
    """Runs a full rollback directly, with a person at the terminal."""

    def __init__(self, terminal: TypedTerminal, person: str = BEN, **approval: Any) -> None:
        self.terminal, self.person = terminal, person
        self.sts = FakeIdentityProofs()
        self.simulation = DatabaseSimulation(Policy(), approval=ApprovalPolicy(**approval))
        self.simulation.replace(identity_proofs=self.sts)
        self.said: list[str] = []

    def sign(self, purpose: str) -> dict[str, object]:
        return self.sts.sign(self.person, purpose, f"{self.simulation.clock.now():%Y%m%dT%H%M%SZ}")

    def run(self) -> Rollback:
        asks = ApprovalAtTerminal(self.simulation.ports, self.terminal, self.said.append, self.sign)

        def wait(rollback_id: str, seconds: float, sleep: Any) -> None:
            asks.wait(rollback_id, seconds, sleep)
            self.simulation.pass_time(seconds=seconds)  # the typed terminal takes no time

        cursor = run_directly(
            FULL,
            self.simulation.ports,
            lambda _: None,
            lambda seconds: self.simulation.pass_time(seconds=seconds),
            wait_at_gate=wait,
        )
        return self.simulation.ledger.read(SERVICE_NAME, cursor.rollback_id)


def test_the_typed_name_of_the_service_and_a_reason_approve() -> None:
    desk = Desk(TypedTerminal([SERVICE_NAME, "the plan is right"]))
    rollback = desk.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.approval is not None
    decision = rollback.approval.decision
    assert decision is not None
    assert (decision.by, decision.is_verified, decision.reason) == (BEN, True, "the plan is right")
    questions = [text for text in desk.said if "Until: " in text]
    assert len(questions) == 1


def test_a_typed_reject_rejects_and_changes_nothing() -> None:
    desk = Desk(TypedTerminal(["reject", "the wrong database"]))
    rollback = desk.run()
    assert rollback.outcome is Outcome.REJECTED
    assert "the wrong database" in rollback.reason
    assert desk.simulation.changes() == []


@pytest.mark.parametrize("lines", [["yes"], ["EXPRESS-API"], [""], [SERVICE_NAME, ""]], ids=str)
def test_any_other_text_or_a_missing_reason_decides_nothing(lines: list[str]) -> None:
    desk = Desk(TypedTerminal(lines))
    rollback = desk.run()
    assert rollback.outcome is Outcome.REJECTED
    assert "no person decided by" in rollback.reason
    assert any(text.startswith("nothing was decided") for text in desk.said)
    assert desk.simulation.changes() == []


def test_without_a_terminal_the_rollback_is_refused_with_what_to_do() -> None:
    desk = Desk(TypedTerminal(is_present=False))
    rollback = desk.run()
    assert (rollback.outcome, rollback.concluded_at is not None) == (Outcome.REFUSED, True)
    assert "Run `rollback start production --service express-api --direct` with the same options" in rollback.reason
    assert desk.simulation.changes() == []
    with pytest.raises(InvalidRequest, match="decided already"):
        take_decision(rollback.id, DecisionKind.APPROVED, "too late", Identity.unverified("ben"), desk.simulation.ports)


def test_with_four_eyes_the_person_who_started_it_does_not_count_and_another_one_does() -> None:
    desk = Desk(TypedTerminal([SERVICE_NAME, "I am sure"]), person=ADA, four_eyes=True)
    original_read_line = desk.terminal.read_line

    def read_line(seconds: float) -> str | None:
        line = original_read_line(seconds)
        if line is None:  # Ada's decision was refused: Ben decides on his own machine
            desk.person = BEN
            waiting = next(desk.simulation.ledger.history(SERVICE_NAME))
            assert isinstance(waiting, Rollback)
            assert waiting.approval is not None
            kind = DecisionKind.APPROVED
            decide_in_process(waiting, waiting.approval, kind, "checked", desk.simulation.ports, desk.sign)
        return line

    desk.terminal.read_line = read_line  # type: ignore[method-assign]
    asks = ApprovalAtTerminal(desk.simulation.ports, desk.terminal, desk.said.append, desk.sign)

    def start_as_ada(execution_input: Any, execution: str) -> Any:
        from rollback.domain.approval.identity_proof import PROOF, purpose_of_start  # noqa: PLC0415

        return {**execution_input, PROOF: desk.sign(purpose_of_start(execution_input, execution))}

    def pass_time(seconds: float) -> None:
        desk.simulation.pass_time(seconds=seconds)

    cursor = run_directly(
        FULL, desk.simulation.ports, lambda _: None, pass_time, add_proof=start_as_ada, wait_at_gate=asks.wait
    )
    rollback = desk.simulation.ledger.read(SERVICE_NAME, cursor.rollback_id)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert any("another person decides" in text for text in desk.said)
    assert rollback.approval is not None
    assert rollback.approval.decision is not None
    assert rollback.approval.decision.by == BEN


def test_without_sts_the_decision_is_recorded_as_unverified() -> None:
    desk = Desk(TypedTerminal([SERVICE_NAME, "the plan is right"]))
    no_sts: IdentityProofs = RefusesAll("sts")
    desk.simulation.replace(identity_proofs=no_sts)

    def sign_in_vain(_purpose: str) -> dict[str, object]:
        raise CallRefused("STS refused")

    desk.sign = sign_in_vain  # type: ignore[method-assign, assignment]
    rollback = desk.run()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.approval is not None
    assert rollback.approval.decision is not None
    assert not rollback.approval.decision.is_verified
    assert any("recorded as unverified" in text for text in desk.said)
