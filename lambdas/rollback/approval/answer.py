"""Answer the function `approve`: read what a person sends, verify who it is, and take the decision.

A person's mistake is an answer with a text, never an exception: the caller shows the text.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from rollback.approval.decide import take_decision
from rollback.approval.ports import DecisionPorts
from rollback.approval.verify_identity import ProofPorts, Verification, verify_identity
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity_proof import purpose_of_decision
from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest, UnreadableItem
from rollback.text import REASON_LIMIT, REQUESTER_LIMIT, quoted

DECISIONS = {"approve": DecisionKind.APPROVED, "reject": DecisionKind.REJECTED}
_REQUIRED = frozenset({"rollback_id", "decision", "reason"})
_OPTIONAL = frozenset({"proof", "claimed_name"})
_MAX_ID = 200


class AnswerPorts(DecisionPorts, ProofPorts, Protocol):
    """Ports of the function `approve`."""


def answer_decision(event: object, ports: AnswerPorts) -> dict[str, Any]:
    """Take a decision that a person sends.

    Args:
        event: `rollback_id`, `decision` (`approve` or `reject`), `reason`; and `proof`, `claimed_name`, if there are.
        ports: access to AWS and the ledger.

    Returns:
        `ok` True with `decided_by`, `is_verified`, `is_woken` and `text`; or `ok` False with `error`: `kind`, `text`.

    Raises:
        ExternalServiceError: the decision may be stored; invoke again.
    """
    try:
        fields = _read(event)
        kind = DECISIONS[fields["decision"]]
        verification = _verify(fields, kind, ports)
        try:
            result = take_decision(fields["rollback_id"], kind, fields["reason"], verification.identity, ports)
        except InvalidRequest as refusal:
            if not verification.problem or fields.get("proof") is None:
                raise
            raise InvalidRequest(
                f"{refusal}; the proof of identity does not count: {verification.problem}"
            ) from refusal
    except InvalidRequest as refusal:
        return {"ok": False, "error": {"kind": "refused", "text": str(refusal)}}
    return {
        "ok": True,
        "rollback_id": result.rollback_id,
        "decided_by": str(verification.identity),
        "is_verified": verification.identity.is_verified,
        "problem": verification.problem,
        "is_woken": result.is_woken,
        "text": result.in_words,
    }


def _read(event: object) -> dict[str, Any]:
    if not isinstance(event, Mapping) or not _REQUIRED <= event.keys() <= _REQUIRED | _OPTIONAL:
        names = ", ".join(sorted(_REQUIRED | _OPTIONAL))
        raise InvalidRequest(f"the input must be an object with {names}; nothing was changed")
    limits = {"rollback_id": _MAX_ID, "decision": _MAX_ID, "reason": REASON_LIMIT, "claimed_name": REQUESTER_LIMIT}
    for name, limit in limits.items():
        value = event.get(name, "")
        if not isinstance(value, str) or len(value) > limit:
            raise InvalidRequest(f"{name} must be a text of at most {limit} characters; nothing was changed")
    if event["decision"] not in DECISIONS:
        raise InvalidRequest(
            f"decision is {quoted(event['decision'])}; valid values: {', '.join(DECISIONS)}; nothing was changed"
        )
    return dict(event)


def _verify(fields: Mapping[str, Any], kind: DecisionKind, ports: AnswerPorts) -> Verification:
    rollback_id, proof = fields["rollback_id"], fields.get("proof")
    nonce = _nonce(rollback_id, ports)
    purpose = purpose_of_decision(rollback_id, nonce, kind, fields["reason"])
    return verify_identity(proof if nonce else None, purpose, fields.get("claimed_name", ""), ports)


def _nonce(rollback_id: str, ports: AnswerPorts) -> str:
    """The nonce of the rollback's gate; empty for a rollback without one, whose decision is refused anyway."""
    try:
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    except (KeyError, UnreadableItem, ValueError):
        return ""
    return rollback.approval.nonce if rollback.approval is not None else ""
