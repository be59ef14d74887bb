"""Take a person's decision about a waiting rollback, and wake the execution that waits.

The decision is an item of the ledger; the first decision counts. The token only wakes the execution, so a lost wake
loses no decision: the step looks again within minutes.
"""

from contextlib import suppress
from dataclasses import dataclass

from rollback.approval.ports import DecisionPorts
from rollback.domain.approval.gate import PERSONAL_KINDS, Approval, Decision, DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.rules import refuse_decision
from rollback.domain.operator import Operator
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import InvalidRequest, RollbackError, UnreadableItem
from rollback.text import NAME_LIMIT, quoted


@dataclass(frozen=True)
class DecisionResult:
    """A decision that was stored.

    Attributes:
        rollback_id: the rollback.
        decision: the decision.
        is_woken: the waiting execution was woken; False: it finds the decision by itself within minutes.
    """

    rollback_id: str
    decision: Decision
    is_woken: bool

    @property
    def in_words(self) -> str:
        """The next thing that the rollback does, for the person who decided."""
        goes_on = "makes the plan again and goes on" if self.decision.kind is DecisionKind.APPROVED else "ends"
        when = "now" if self.is_woken else "as soon as it looks at the ledger, within minutes"
        return f"{self.rollback_id} is {self.decision.kind} by {self.decision.by}; it {goes_on} {when}"


def take_decision(
    rollback_id: str, kind: DecisionKind, reason: str, identity: Identity, ports: DecisionPorts
) -> DecisionResult:
    """Store a decision, and wake the execution that waits for it. The waiting step records the operator's action.

    Args:
        rollback_id: the waiting rollback.
        kind: `approved` or `rejected`.
        reason: the person's reason, for the record and the report.
        identity: the person; the caller has verified the proof, or says that there is none.
        ports: access to AWS and the ledger.

    Raises:
        InvalidRequest: the decision does not count; the text says why. Nothing was changed.
        ExternalServiceError: the decision may be stored; call again.
    """
    if kind not in PERSONAL_KINDS:
        raise InvalidRequest(f"a person can't decide that a rollback is {kind}; nothing was changed")
    operator = Operator(str(identity), reason)
    rollback = _read(rollback_id, ports)
    ports = ports.for_settings(rollback.settings)
    gate = _find_open_gate(rollback, ports)
    refusal = refuse_decision(ports.settings.approval, identity, requester_of(rollback))
    if refusal is not None:
        raise InvalidRequest(f"{refusal}; nothing was changed")
    now = ports.clock.now()
    if gate.is_expired(now):
        raise InvalidRequest(
            f"the time to decide {rollback.id} ended at {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC; start the rollback "
            "again; nothing was changed"
        )
    decision = Decision(
        kind=kind, by=operator.name, is_verified=identity.is_verified, reason=operator.reason.strip(), at=now
    )
    recorded = ports.ledger.put_approval_decision(rollback.id, gate.nonce, decision)
    if not recorded.is_new:
        raise InvalidRequest(_describe_earlier(rollback, recorded.decision))
    is_woken = recorded.token is not None and _wake(rollback.id, recorded.token, ports)
    return DecisionResult(rollback.id, decision, is_woken)


def await_approval(rollback_id: str, token: str, ports: DecisionPorts) -> bool:
    """Store the token of an execution that begins to wait; wake the execution at once if it has nothing to wait for.

    Args:
        rollback_id: the waiting rollback.
        token: the task token, as Step Functions gives it.
        ports: access to AWS and the ledger.

    Returns:
        Whether the execution waits; False: it was woken at once.

    Raises:
        KeyError: the ledger has no such rollback.
        ExternalServiceError: the token may be stored; call again with a new one.
    """
    rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    gate = rollback.approval
    if gate is not None and rollback.is_at_gate and gate.lease_awaited_since is not None:
        return True  # it follows its decision already, and a timer lets it ask for the lease again
    if gate is not None and rollback.is_at_gate and not gate.is_expired(ports.clock.now()):
        ciphertext = ports.token_cipher.encrypt(rollback.id, token)
        if ports.ledger.put_approval_token(rollback.id, gate.nonce, ciphertext, gate.expires_at):
            return True
    ports.workflow.send_task_success(token)
    return False


def requester_of(rollback: Rollback) -> Identity | None:
    """The person who started a rollback; None: an alarm, an event or a drill started it."""
    if not rollback.is_requested_by_person:
        return None
    return rollback.requester or Identity.unverified(rollback.request.requested_by)


def _read(rollback_id: str, ports: DecisionPorts) -> Rollback:
    environment = ports.settings.environment
    if 0 < len(rollback_id) <= NAME_LIMIT * 2:
        with suppress(KeyError):
            try:
                return ports.ledger.read(service_of(rollback_id), rollback_id)
            except UnreadableItem as unreadable:
                raise InvalidRequest(f"{unreadable}; nothing was changed") from unreadable
    raise InvalidRequest(
        f"there is no rollback {quoted(rollback_id)}; `rollback status {environment}` names the one that waits; "
        "nothing was changed"
    )


def _find_open_gate(rollback: Rollback, ports: DecisionPorts) -> Approval:
    """The gate at which a rollback waits.

    Raises:
        InvalidRequest: the rollback does not wait.
    """
    gate = rollback.approval
    if gate is None:
        state = f"ended as {rollback.outcome}" if rollback.outcome is not None else "is in progress without one"
        raise InvalidRequest(f"{rollback.id} waits for no approval: it {state}; nothing was changed")
    decision = gate.decision or ports.ledger.approval_decision(rollback.id, gate.nonce)
    if decision is not None:
        raise InvalidRequest(_describe_earlier(rollback, decision))
    if rollback.outcome is not None:
        raise InvalidRequest(
            f"{rollback.id} waits for no approval any more: {rollback.outcome}, {rollback.reason}; nothing was changed"
        )
    return gate


def _describe_earlier(rollback: Rollback, decision: Decision) -> str:
    return f"{rollback.id} is decided already: {decision.in_words}; nothing was changed"


def _wake(rollback_id: str, ciphertext: bytes, ports: DecisionPorts) -> bool:
    """Wake the waiting execution. A failure only delays it: the step looks at the ledger within minutes."""
    try:
        return ports.workflow.send_task_success(ports.token_cipher.decrypt(rollback_id, ciphertext))
    except RollbackError:
        return False
