"""Rollback documents in the ledger: created once, saved by compare-and-set, an intent only under the lease."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.model.errors import Conflict, LeaseLost
from rollback.model.rollback import Rollback
from rollback.world.ledger_table import ConditionFailed, LedgerTable, key, seconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_EVENT_KEPT = timedelta(days=2)  # longer than EventBridge retries (24 hours)


class LedgerDocuments:
    """`SERVICE#<name>` / `ROLLBACK#<id>`, and `EVENT#<id>` against duplicates."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def create(self, rollback: Rollback) -> Rollback:
        """Store a new document and mark its event as seen, in one transaction.

        A retry finds its own document and gives that.

        Raises:
            Conflict: another rollback has taken the same event already.
        """
        items: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table.name,
                    "Item": _document(rollback),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        ]
        if rollback.event is not None:
            expires = int((rollback.created_at + _EVENT_KEPT).timestamp())
            items.append(
                {
                    "Put": {
                        "TableName": self._table.name,
                        "Item": {
                            **key(f"EVENT#{rollback.event.id}", "SEEN"),
                            "rollback_id": {"S": rollback.id},
                            "expires": {"N": str(expires)},
                        },
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                }
            )
        try:
            self._table.call(self._table.client.transact_write_items, TransactItems=items)
        except ConditionFailed as error:
            try:
                return self.read(rollback.service_name, rollback.id)
            except KeyError:
                event = rollback.event.id if rollback.event else ""
                raise Conflict(f"event {event} was taken by another rollback already") from error
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        """The document as it stands (consistent read).

        Raises:
            KeyError: there is none with this id.
        """
        item = self._table.get(f"SERVICE#{service}", f"ROLLBACK#{rollback_id}")
        if item is None:
            raise KeyError(rollback_id)
        return Rollback.model_validate_json(item["body"]["S"])

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        """Compare-and-set on the version that was read.

        Args:
            under_lease_until: also require that our lease holds at least until then (rule 9: an intent may only be
                written by a holder whose lease outlasts the call it announces).

        Raises:
            Conflict: the document was changed since it was read.
            LeaseLost: the lease is another's, or ends too early.
        """
        saved = rollback.but(version=rollback.version + 1)
        items: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table.name,
                    "Item": _document(saved),
                    "ConditionExpression": "#version = :read",
                    "ExpressionAttributeNames": {"#version": "version"},
                    "ExpressionAttributeValues": {":read": {"N": str(rollback.version)}},
                }
            }
        ]
        if under_lease_until is not None:
            items.append(
                {
                    "ConditionCheck": {
                        "TableName": self._table.name,
                        "Key": key(f"SERVICE#{rollback.service_name}", "LEASE"),
                        "ConditionExpression": "holder = :me AND #counter = :counter AND expires_at > :until",
                        "ExpressionAttributeNames": {"#counter": "counter"},
                        "ExpressionAttributeValues": {
                            ":me": {"S": rollback.id},
                            ":counter": {"N": str(rollback.lease_counter)},
                            ":until": {"N": seconds(under_lease_until)},
                        },
                    }
                }
            )
        try:
            self._table.call(self._table.client.transact_write_items, TransactItems=items)
        except ConditionFailed as error:
            if error.failed[1:] == [True]:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}") from error
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def history(self, service: str) -> Iterator[Rollback]:
        """All rollbacks of a service, newest first."""
        for item in self._table.query(f"SERVICE#{service}", "ROLLBACK#"):
            yield Rollback.model_validate_json(item["body"]["S"])


def _document(rollback: Rollback) -> dict[str, Any]:
    return {
        **key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
        "version": {"N": str(rollback.version)},
        "body": {"S": rollback.model_dump_json()},
    }
