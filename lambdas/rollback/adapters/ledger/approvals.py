"""Ledger items of approvals: the decision about a gate, and the token of the execution that waits at the gate.

Both are items of their own: a person's decision never conflicts with a step that saves the document. The token is
stored only while there is no decision, and is deleted with the decision. So whoever stores the decision gets the last
token, and no token stays behind.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, expiry, key
from rollback.domain.approval.gate import Decision, RecordedDecision
from rollback.errors import Conflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_DECISION_RETENTION = timedelta(days=30)  # the document keeps a copy; an execution runs for hours at most
_TRIES = 5  # an execution stores another token only once in minutes


class LedgerApprovals:
    """Adapter of `APPROVAL#<id>` / `DECISION#<nonce>` and `APPROVAL#<id>` / `TOKEN#<nonce>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def approval_decision(self, rollback_id: str, nonce: str) -> Decision | None:
        """Read the decision's item."""
        return self._table.get_body(Decision, *_decision_key(rollback_id, nonce))

    def put_approval_decision(self, rollback_id: str, nonce: str, decision: Decision) -> RecordedDecision:
        """Put the decision once, and delete the token as it was read, in one transaction."""
        item = {
            **key(*_decision_key(rollback_id, nonce)),
            "body": {"S": decision.model_dump_json()},
            "expires": expiry(decision.at + _DECISION_RETENTION),
        }
        for _ in range(_TRIES):
            token_item = self._table.get(*_token_key(rollback_id, nonce))
            token = _token_of(token_item)
            parts = [
                self._table.put_part(item, "attribute_not_exists(pk)"),
                self._delete_token(rollback_id, nonce, token_item),
            ]
            try:
                self._table.transact(parts)
            except ConditionFailed:
                earlier = self.approval_decision(rollback_id, nonce)
                if earlier is not None:
                    return RecordedDecision(earlier, is_new=earlier == decision)
                continue  # the execution stored another token meanwhile
            return RecordedDecision(decision, is_new=True, token=token)
        raise Conflict(f"the token of {rollback_id} changed {_TRIES} times during the decision; decide again")

    def put_approval_token(self, rollback_id: str, nonce: str, token: bytes, until: datetime) -> bool:
        """Put the token in a transaction that requires that there is no decision."""
        token_key = key(*_token_key(rollback_id, nonce))
        check: TransactWriteItemTypeDef = {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": key(*_decision_key(rollback_id, nonce)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        put = self._table.put_part({**token_key, "token": {"B": token}, "expires": expiry(until)})
        try:
            self._table.transact([check, put])
        except ConditionFailed:
            return False
        return True

    def _delete_token(self, rollback_id: str, nonce: str, item: dict[str, Any] | None) -> "TransactWriteItemTypeDef":
        """Return the part that deletes the token that was read, or requires that there is none."""
        part: Any = {"TableName": self._table.name, "Key": key(*_token_key(rollback_id, nonce))}
        if item is None:
            part["ConditionExpression"] = "attribute_not_exists(pk)"
        elif "token" in item:  # a damaged item wakes no execution: it goes away with the decision
            part["ConditionExpression"] = "#token = :read"
            part["ExpressionAttributeNames"] = {"#token": "token"}
            part["ExpressionAttributeValues"] = {":read": item["token"]}
        return {"Delete": part}


def _decision_key(rollback_id: str, nonce: str) -> tuple[str, str]:
    return f"APPROVAL#{rollback_id}", f"DECISION#{nonce}"


def _token_key(rollback_id: str, nonce: str) -> tuple[str, str]:
    return f"APPROVAL#{rollback_id}", f"TOKEN#{nonce}"


def _token_of(item: dict[str, Any] | None) -> bytes | None:
    value = item.get("token", {}).get("B") if item is not None else None
    return bytes(value) if value is not None else None
