"""Ledger items of leases; an item keeps its counter when its holder gives the lease back."""

import contextlib
from datetime import datetime
from typing import Any

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, seconds
from rollback.domain.lease import Lease
from rollback.domain.settings.database import BRANCH
from rollback.errors import ExternalServiceError, LeaseLost, UnreadableItem


class LedgerLeases:
    """Adapter of `SERVICE#<name>` / `LEASE` and `BRANCH#<project>#<branch>` / `LEASE`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        """Set an unreadable lease aside and take its place, since no rollback can prove that it holds that lease.

        A holder that still runs finds its lease lost.
        """
        free = "attribute_not_exists(pk) OR attribute_not_exists(holder) OR expires_at <= :now"
        try:
            return self._take(service, rollback_id, until, free, {":now": {"N": seconds(now)}})
        except ConditionFailed:
            pass
        except ExternalServiceError:  # DynamoDB refuses to add to a damaged counter; every other failure is raised
            if self._find_damage(service) is None:
                raise
        damage = self._find_damage(service)
        if damage is not None:
            return self._replace_damaged(service, rollback_id, now, until, damage)
        present = self.lease(service)
        return present if present is not None and present.is_held_by(rollback_id, now) else None

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        """Compare holder and counter, and require that the lease has not expired."""
        try:
            updated = self._table.call(
                self._table.client.update_item,
                TableName=self._table.name,
                Key=_key(lease.service),
                UpdateExpression="SET expires_at = :until",
                ConditionExpression="holder = :me AND #counter = :counter AND expires_at > :now",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={
                    ":me": {"S": lease.holder},
                    ":counter": {"N": str(lease.counter)},
                    ":until": {"N": seconds(until)},
                    ":now": {"N": seconds(now)},
                },
                ReturnValues="ALL_NEW",
            )
        except ConditionFailed as error:
            raise LeaseLost(f"{lease.holder} no longer holds the lease on {lease.service}") from error
        return _lease(lease.service, updated["Attributes"])

    def take_over(self, lease: Lease, rollback_id: str, until: datetime) -> Lease | None:
        """Compare holder and counter. The SDK may repeat a call whose answer was lost: a taken lease is success."""
        as_read = {":from": {"S": lease.holder}, ":counter": {"N": str(lease.counter)}}
        try:
            return self._take(lease.service, rollback_id, until, "holder = :from AND #counter = :counter", as_read)
        except ConditionFailed:
            present = self.lease(lease.service)
            is_taken = present is not None and (present.holder, present.counter) == (rollback_id, lease.counter + 1)
            return present if is_taken else None

    def release_lease(self, service: str, rollback_id: str) -> None:
        """Remove holder and expiry; the counter stays."""
        with contextlib.suppress(ConditionFailed):
            self._table.call(
                self._table.client.update_item,
                TableName=self._table.name,
                Key=_key(service),
                UpdateExpression="REMOVE holder, expires_at",
                ConditionExpression="holder = :me",
                ExpressionAttributeValues={":me": {"S": rollback_id}},
            )

    def lease(self, service: str) -> Lease | None:
        """Read the item; an item without a holder is a lease that was given back."""
        item = self._table.get(_partition(service), "LEASE")
        return _lease(service, item) if item is not None and "holder" in item else None

    def lease_counter(self, service: str) -> int:
        """Read the item's counter, which stays when the lease is given back."""
        item = self._table.get(_partition(service), "LEASE")
        if item is None or "counter" not in item:
            return 0
        try:
            return int(item["counter"]["N"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableItem(f"{_partition(service)} / LEASE", f"{type(error).__name__} in its counter") from error

    def _find_damage(self, service: str) -> UnreadableItem | None:
        try:
            self.lease(service)
        except UnreadableItem as damage:
            return damage
        return None

    def _replace_damaged(
        self, service: str, rollback_id: str, now: datetime, until: datetime, damage: UnreadableItem
    ) -> Lease | None:
        """Put a new lease in place of a damaged one.

        The damaged counter may have been any number. Seconds since 1970 are more than any number of holders.
        """
        raw = self._table.get(_partition(service), "LEASE")
        if raw is None:
            return None
        self._table.record_unreadable(damage, now, raw)
        names = [name for name in raw if name not in ("pk", "sk")]
        item = {
            **_key(service),
            "holder": {"S": rollback_id},
            "counter": {"N": str(int(now.timestamp()))},
            "expires_at": {"N": seconds(until)},
        }
        try:
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=item,
                ConditionExpression=" AND ".join(f"#{n} = :{n}" for n in range(len(names))),
                ExpressionAttributeNames={f"#{n}": name for n, name in enumerate(names)},
                ExpressionAttributeValues={f":{n}": raw[name] for n, name in enumerate(names)},
            )
        except ConditionFailed:
            return None
        return _lease(service, item)

    def _take(self, service: str, rollback_id: str, until: datetime, condition: str, values: dict[str, Any]) -> Lease:
        """Become the holder, with the next counter.

        Raises:
            ConditionFailed: the condition did not hold.
        """
        updated = self._table.call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=_key(service),
            UpdateExpression="SET holder = :me, expires_at = :until ADD #counter :one",
            ConditionExpression=condition,
            ExpressionAttributeNames={"#counter": "counter"},
            ExpressionAttributeValues={
                ":me": {"S": rollback_id},
                ":until": {"N": seconds(until)},
                ":one": {"N": "1"},
                **values,
            },
            ReturnValues="ALL_NEW",
        )
        return _lease(service, updated["Attributes"])


def _partition(service: str) -> str:
    return service if service.startswith(BRANCH) else f"SERVICE#{service}"


def _key(service: str) -> dict[str, Any]:
    return key(_partition(service), "LEASE")


def _lease(service: str, item: dict[str, Any]) -> Lease:
    try:
        return Lease.model_validate(
            {
                "service": service,
                "holder": item["holder"]["S"],
                "counter": int(item["counter"]["N"]),
                "expires_at": float(item["expires_at"]["N"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableItem(f"{_partition(service)} / LEASE", f"{type(error).__name__} in its attributes") from error
