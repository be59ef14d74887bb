"""Ask on the terminal for the approval that a direct rollback needs, since the function `approve` may be broken.

The decision is stored as every other: with the identity that STS confirms, and under the same rules of who may decide.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rollback.approval.decide import take_decision
from rollback.approval.verify_identity import verify_identity
from rollback.domain.approval.gate import Approval, Decision, DecisionKind
from rollback.domain.approval.identity_proof import purpose_of_decision
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest
from rollback.ports.all_ports import AllPorts
from rollback.reports.approval import approval_message
from rollback_cli import requester
from rollback_cli.direct.terminal import Terminal
from rollback_cli.sign_proof import sign_proof

Sign = Callable[[str], dict[str, Any]]


def decide_in_process(
    rollback: Rollback, gate: Approval, kind: DecisionKind, reason: str, ports: AllPorts, sign: Sign
) -> str:
    """Store a decision from this process, with the operator's identity, and return it in words.

    Args:
        rollback: the waiting rollback.
        gate: its gate.
        kind: `approved` or `rejected`.
        reason: the operator's reason, for the record.
        ports: access to AWS and the ledger.
        sign: signs a proof of identity for a purpose.

    Raises:
        InvalidRequest: the decision does not count; the text says why.
        ExternalServiceError: the decision may be stored.
    """
    purpose = purpose_of_decision(rollback.id, gate.nonce, kind, reason)
    proof: dict[str, Any] | None = None
    with suppress(ExternalServiceError):  # without a proof the operator is unverified, and the gate's rules decide
        proof = sign(purpose)
    verification = verify_identity(proof, purpose, requester.requester_name(), ports)
    try:
        result = take_decision(rollback.id, kind, reason, verification.identity, ports)
    except InvalidRequest as refusal:
        if not verification.problem:
            raise
        raise InvalidRequest(f"{refusal}; your identity is not verified: {verification.problem}") from refusal
    unverified = f". Your identity is recorded as unverified: {verification.problem}" if verification.problem else ""
    return f"{result.rollback_id} is {kind} by {result.decision.by}{unverified}"


class ApprovalAtTerminal:
    """Asks once for each gate, and reads an answer between two looks at the ledger."""

    def __init__(
        self,
        ports: AllPorts,
        terminal: Terminal,
        say: Callable[[str], None],
        sign: Sign = sign_proof,
    ) -> None:
        self._ports = ports
        self._terminal = terminal
        self._say = say
        self._sign = sign
        self._asked_nonce = ""

    def wait(self, rollback_id: str, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait for a decision at most the given seconds: the operator's at this terminal, or another person's."""
        try:
            self._wait(rollback_id, seconds, sleep)
        except (Conflict, ExternalServiceError) as failure:  # the step looks again, and says what is left
            self._say(f"the wait for an approval goes on: {failure}")
            sleep(seconds)

    def _wait(self, rollback_id: str, seconds: float, sleep: Callable[[float], None]) -> None:
        rollback = self._ports.ledger.read(service_of(rollback_id), rollback_id)
        gate = rollback.approval
        if gate is None or not rollback.is_at_gate:
            return
        if self._ports.ledger.approval_decision(rollback.id, gate.nonce) is not None:
            sleep(seconds)  # the step follows the decision, or waits for another rollback's lease
        elif not self._terminal.is_present:
            self._refuse(rollback, gate)
        else:
            self._ask(rollback, gate, seconds)

    def _ask(self, rollback: Rollback, gate: Approval, seconds: float) -> None:
        if self._asked_nonce != gate.nonce:
            self._asked_nonce = gate.nonce
            self._say(approval_message(rollback, gate))
            self._say(
                f"To approve it here, type the name of the service, {rollback.service_name}. To reject "
                "it, type: reject. Another person may decide too, with the commands above; add --direct if the "
                "function approve is broken"
            )
        line = self._terminal.read_line(seconds)
        if line is None:
            return
        if line == rollback.service_name:
            self._decide(rollback, gate, DecisionKind.APPROVED)
        elif line == "reject":
            self._decide(rollback, gate, DecisionKind.REJECTED)
        else:
            self._say(f"nothing was decided: type {rollback.service_name} to approve, or reject to reject")

    def _decide(self, rollback: Rollback, gate: Approval, kind: DecisionKind) -> None:
        self._say("Reason, for the record:")
        remaining_seconds = (gate.expires_at - self._ports.clock.now()).total_seconds()
        reason = self._terminal.read_line(max(1.0, remaining_seconds))
        if not reason:
            self._say(f"nothing was decided: a decision needs a reason; type {rollback.service_name} or reject again")
            return
        try:
            self._say(decide_in_process(rollback, gate, kind, reason, self._ports, self._sign))
        except (InvalidRequest, ExternalServiceError) as failure:
            self._say(f"{failure}. The rollback still waits, until {gate.expires_at:%H:%M:%S} UTC")

    def _refuse(self, rollback: Rollback, gate: Approval) -> None:
        """End a rollback that nobody here can approve. The gate ends first, so that no later decision counts."""
        reason = "the direct rollback has no terminal on which it could ask"
        expired = Decision(kind=DecisionKind.EXPIRED, reason=reason, at=self._ports.clock.now())
        recorded = self._ports.ledger.put_approval_decision(rollback.id, gate.nonce, expired)
        if not recorded.is_new:
            return  # another person decided a moment ago
        needs = f"it needs an approval ({', '.join(gate.reasons)}), and {reason}"
        command = f"rollback start {rollback.environment} --service {rollback.service_name} --direct"
        self._ports.ledger.save(
            rollback.evolve(
                approval=gate.model_copy(update={"decision": expired}),
                outcome=Outcome.REFUSED,
                reason=f"{needs}; nothing was changed. Run `{command}` with the same options in a terminal",
                wait_seconds=0,
            )
        )
