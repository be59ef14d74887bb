"""Leases in the ledger: the right to roll back a service, or a database branch; a counter outlives their holders."""

import contextlib
from datetime import datetime
from typing import Any

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, seconds
from rollback.domain.lease import Lease
from rollback.domain.settings.database import BRANCH
from rollback.errors import ExternalServiceError, LeaseLost, UnreadableItem


class LedgerLeases:
    """`SERVICE#<name>` / `LEASE`; of a branch `BRANCH#<project>#<branch>` / `LEASE`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        """Take the lease if it is free, expired, ours already or can't be read; None if another holds it.

        Nobody can show that they hold a lease that can't be read: it is set aside, and its place taken. A holder that
        still lives finds its lease lost.
        """
        free = "attribute_not_exists(pk) OR attribute_not_exists(holder) OR expires_at <= :now"
        try:
            return self._take(service, rollback_id, until, free, {":now": {"N": seconds(now)}})
        except ConditionFailed:
            pass
        except ExternalServiceError:  # a damaged counter can't be added to; any other failure is one
            if self._find_damage(service) is None:
                raise
        damage = self._find_damage(service)
        if damage is not None:
            return self._replace_damaged(service, rollback_id, now, until, damage)
        held = self.lease(service)
        return held if held is not None and held.is_held_by(rollback_id, now) else None

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        """Hold our lease for longer.

        Raises:
            LeaseLost: it ran out or is another's.
        """
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

    def take_over(self, held: Lease, rollback_id: str, until: datetime) -> Lease | None:
        """Take a lease that somebody holds, as it was read; None if it has changed hands since.

        The counter grows: whatever the former holder still writes under its own is refused.
        """
        as_read = {":from": {"S": held.holder}, ":counter": {"N": str(held.counter)}}
        try:
            return self._take(held.service, rollback_id, until, "holder = :from AND #counter = :counter", as_read)
        except ConditionFailed:  # the SDK sends it again after a lost answer: then it is ours already
            taken = self.lease(held.service)
            ours = taken is not None and (taken.holder, taken.counter) == (rollback_id, held.counter + 1)
            return taken if ours else None

    def release_lease(self, service: str, rollback_id: str) -> None:
        """Give the lease back; nothing happens if it is not ours (any more). The counter stays."""
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
        """Who holds the lease (it may have run out); None if nobody.

        Raises:
            UnreadableItem: there is a lease, and it can't be read.
        """
        item = self._table.get(_partition(service), "LEASE")
        return _lease(service, item) if item is not None and "holder" in item else None

    def _find_damage(self, service: str) -> UnreadableItem | None:
        try:
            self.lease(service)
        except UnreadableItem as damage:
            return damage
        return None

    def _replace_damaged(
        self, service: str, rollback_id: str, now: datetime, until: datetime, damage: UnreadableItem
    ) -> Lease | None:
        """Its counter was perhaps any number: seconds since 1970 are more than any number of holders."""
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
        """Become the holder, with the next counter. Raises ConditionFailed."""
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
