"""Ledger items of rollback documents: created once, saved by compare-and-set, an intent only under the lease.

The same transaction writes the document's index (`domain.ledger.index`), which decisions read.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.ledger.table import (
    ConditionFailed,
    LedgerTable,
    expiry,
    key,
    name_of,
    parse_body,
    seconds,
    text_of,
)
from rollback.domain.ledger.index import build_entries
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import Conflict, LeaseLost, UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_EVENT_RETENTION = timedelta(days=2)  # EventBridge retries for 24 hours
_PAGE = 25  # documents of a request: a document has about 10 KB, a page at most 1 MB


class LedgerDocuments:
    """Adapter of `SERVICE#<name>` / `ROLLBACK#<id>`, `EVENT#<id>` against duplicates, and `EXECUTION#<arn>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def create(self, rollback: Rollback) -> Rollback:
        """Store document, event, execution and index in one transaction."""
        items = [
            self._table.put_part(_document(rollback), "attribute_not_exists(pk)"),
            *self._event_parts(rollback),
            self._execution_part(rollback),
            *build_index_parts(self._table, rollback),
        ]
        try:
            self._table.transact(items)
        except ConditionFailed as error:
            try:
                return self.read(rollback.service_name, rollback.id)
            except KeyError:
                event = rollback.event.id if rollback.event else ""
                raise Conflict(f"event {event} was taken by another rollback already") from error
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        """Read the document's item."""
        document = self._table.get_body(Rollback, f"SERVICE#{service}", f"ROLLBACK#{rollback_id}")
        if document is None:
            raise KeyError(rollback_id)
        return document

    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        """Read the execution's item.

        Raises:
            UnreadableItem: the item names no service and rollback.
        """
        item = self._table.get(f"EXECUTION#{execution}", "ROLLBACK")
        if item is None:
            return None
        service, rollback_id = text_of(item, "service"), text_of(item, "rollback_id")
        if service is None or rollback_id is None:
            raise UnreadableItem(name_of(item), "it names no service and rollback")
        return service, rollback_id

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        """Check the lease's item in the same transaction as the document's version."""
        saved = rollback.evolve(version=rollback.version + 1)
        items = [_replace_part(self._table, rollback, saved)]
        if under_lease_until is not None:
            items.append(self._require_lease(rollback, under_lease_until))
        items += build_index_parts(self._table, saved)
        try:
            self._table.transact(items)
        except ConditionFailed as error:
            if under_lease_until is not None and error.failed[:2] == [False, True]:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}") from error
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def reopen(self, rollback: Rollback) -> Rollback:
        """Store document, execution and index in one transaction."""
        saved = rollback.evolve(version=rollback.version + 1)
        items = [
            _replace_part(self._table, rollback, saved),
            self._execution_part(saved),
            *build_index_parts(self._table, saved),
        ]
        try:
            self._table.transact(items)
        except ConditionFailed as error:
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def history(self, service: str) -> Iterator[Rollback]:
        """Leave the unreadable items out."""
        return (record for record in self.records(service) if isinstance(record, Rollback))

    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        """Query by the id in the sort key: ids sort by the time at which their rollbacks began."""
        newest = f"ROLLBACK#{before}" if before is not None else None
        for item in self._table.query(f"SERVICE#{service}", "ROLLBACK#", last=newest, page_size=_PAGE):
            if newest is not None and item["sk"]["S"] == newest:
                continue
            try:
                yield parse_body(Rollback, item)
            except UnreadableItem as unreadable:
                yield unreadable

    def _event_parts(self, rollback: Rollback) -> list["TransactWriteItemTypeDef"]:
        if rollback.event is None:
            return []
        item = {
            **key(f"EVENT#{rollback.event.id}", "SEEN"),
            "rollback_id": {"S": rollback.id},
            "expires": expiry(rollback.created_at + _EVENT_RETENTION),
        }
        return [self._table.put_part(item, "attribute_not_exists(pk)")]

    def _execution_part(self, rollback: Rollback) -> "TransactWriteItemTypeDef":
        item = {
            **key(f"EXECUTION#{rollback.execution or rollback.id}", "ROLLBACK"),
            "service": {"S": rollback.service_name},
            "rollback_id": {"S": rollback.id},
            "expires": expiry(rollback.began_at + retention_of(rollback)),
        }
        return self._table.put_part(item)

    def _require_lease(self, rollback: Rollback, until: datetime) -> "TransactWriteItemTypeDef":
        return {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": key(f"SERVICE#{rollback.service_name}", "LEASE"),
                "ConditionExpression": "holder = :me AND #counter = :counter AND expires_at > :until",
                "ExpressionAttributeNames": {"#counter": "counter"},
                "ExpressionAttributeValues": {
                    ":me": {"S": rollback.id},
                    ":counter": {"N": str(rollback.lease_counter)},
                    ":until": {"N": seconds(until)},
                },
            }
        }


def build_index_parts(table: LedgerTable, rollback: Rollback) -> list["TransactWriteItemTypeDef"]:
    """Return the parts of a transaction that put a document's index entries and delete those that no longer hold."""
    parts: list[TransactWriteItemTypeDef] = []
    for (pk, sk), entry in build_entries(rollback).items():
        if entry is None:
            parts.append({"Delete": {"TableName": table.name, "Key": key(pk, sk)}})
            continue
        item = {**key(pk, sk), "body": {"S": entry.model_dump_json()}}
        if pk.startswith("SERVICE#"):  # changes and trigger results, which no decision reads when they are old
            item["expires"] = expiry(rollback.began_at + retention_of(rollback))
        parts.append(table.put_part(item))
    return parts


def require_unchanged(table: LedgerTable, rollback: Rollback) -> "TransactWriteItemTypeDef":
    """Return the part of a transaction that requires that a document was not saved since it was read."""
    at = key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}")
    check: Any = {"TableName": table.name, "Key": at, **_has_version(rollback)}
    return {"ConditionCheck": check}


def retention_of(rollback: Rollback) -> timedelta:
    """Return how long the document of a rollback is kept (`record_days`)."""
    policy = rollback.settings.policy if rollback.settings is not None else Policy()
    return timedelta(days=policy.record_days)


def _replace_part(table: LedgerTable, known_rollback: Rollback, saved: Rollback) -> "TransactWriteItemTypeDef":
    put: Any = {"TableName": table.name, "Item": _document(saved), **_has_version(known_rollback)}
    return {"Put": put}


def _has_version(known_rollback: Rollback) -> dict[str, Any]:
    """Return the condition that the document in the table has the version that was read."""
    return {
        "ConditionExpression": "#version = :read",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":read": {"N": str(known_rollback.version)}},
    }


def _document(rollback: Rollback) -> dict[str, Any]:
    """Return the item of a document; it expires only once the rollback has no work and no open obligation left."""
    item = {
        **key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
        "version": {"N": str(rollback.version)},
        "body": {"S": rollback.model_dump_json()},
    }
    pending_entries = [entry for (pk, _), entry in build_entries(rollback).items() if not pk.startswith("SERVICE#")]
    if rollback.concluded_at is not None and not any(pending_entries):
        item["expires"] = expiry(rollback.concluded_at + retention_of(rollback))
    return item
