"""Ledger items of deliveries: one item for each rollback and channel, and one in the list of due deliveries."""

from collections.abc import Iterator
from typing import Any

from rollback.adapters.ledger.table import (
    ConditionFailed,
    LedgerTable,
    expiry,
    key,
    parse_readable_bodies,
    sortable_time,
)
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.errors import Conflict

_DUE = "DELIVERIES"
_PAGE = 100


class LedgerDeliveries:
    """Adapter of `DELIVERY#<rollback id>` / `<channel>`, and `DELIVERIES` / `<due since>#<rollback id>#<channel>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def delivery(self, rollback_id: str, channel: Channel) -> Delivery | None:
        """Read one item."""
        return self._table.get_body(Delivery, f"DELIVERY#{rollback_id}", channel.value)

    def put_delivery(self, delivery: Delivery, previous: Delivery | None) -> None:
        """Compare `version`, and keep the list of due deliveries in the same transaction."""
        stored = delivery.model_copy(update={"version": delivery.version + 1})
        part: dict[str, Any] = {
            "TableName": self._table.name,
            "Item": _item(f"DELIVERY#{stored.rollback_id}", stored.channel.value, stored),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if previous is not None:
            part |= {
                "ConditionExpression": "#version = :read",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":read": {"N": str(previous.version)}},
            }
        parts: list[Any] = [{"Put": part}]
        former = _due_key(previous) if previous is not None else None
        present = _due_key(stored)
        if former is not None and former != present:
            parts.append({"Delete": {"TableName": self._table.name, "Key": key(_DUE, former)}})
        if present is not None:
            parts.append(self._table.put_part(_item(_DUE, present, stored)))
        try:
            self._table.transact(parts)
        except ConditionFailed as error:
            raise Conflict(
                f"the delivery of {delivery.rollback_id} to {delivery.channel} was changed since it was read: read it "
                "again"
            ) from error

    def due_deliveries(self) -> Iterator[Delivery]:
        """Query the partition by its sort key, which begins with the time."""
        return parse_readable_bodies(Delivery, self._table.query(_DUE, page_size=_PAGE))


def _due_key(delivery: Delivery) -> str | None:
    if not delivery.is_due or delivery.due_since is None:
        return None
    return f"{sortable_time(delivery.due_since)}#{delivery.rollback_id}#{delivery.channel}"


def _item(pk: str, sk: str, delivery: Delivery) -> dict[str, Any]:
    item = {**key(pk, sk), "version": {"N": str(delivery.version)}, "body": {"S": delivery.model_dump_json()}}
    return item if delivery.expires_at is None else {**item, "expires": expiry(delivery.expires_at)}
