"""Rollback documents in the ledger: created once, saved by compare-and-set, an intent only under the lease.

What decisions need of a document (`model.ledger_index`) is written in the same transaction.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, name_of, seconds, text_of
from rollback.domain.ledger_index import build_entries
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import read_stored
from rollback.errors import Conflict, LeaseLost, UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_EVENT_KEPT = timedelta(days=2)  # longer than EventBridge retries (24 hours)
_PAGE = 25  # documents a request: a document has about 10 KB, a page at most 1 MB


class LedgerDocuments:
    """`SERVICE#<name>` / `ROLLBACK#<id>`, `EVENT#<id>` against duplicates, and `EXECUTION#<arn>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def create(self, rollback: Rollback) -> Rollback:
        """Store a new document and mark its event as seen, in one transaction.

        A retry finds its own document and gives that.

        Raises:
            Conflict: another rollback has taken the same event already.
        """
        items = [
            _put_write(self._table, _document(rollback), "attribute_not_exists(pk)"),
            *self._event_writes(rollback),
            self._execution_write(rollback),
            *build_index_writes(self._table, rollback),
        ]
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
            UnreadableItem: there is one, and it can't be read.
        """
        pk, sk = f"SERVICE#{service}", f"ROLLBACK#{rollback_id}"
        item = self._table.get(pk, sk)
        if item is None:
            raise KeyError(rollback_id)
        return _read(item)

    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        """Service and id of the rollback that an execution began or looks at again; None: it made no record."""
        item = self._table.get(f"EXECUTION#{execution}", "ROLLBACK")
        if item is None:
            return None
        service, rollback_id = text_of(item, "service"), text_of(item, "rollback_id")
        if service is None or rollback_id is None:
            raise UnreadableItem(name_of(item), "it names no service and rollback")
        return service, rollback_id

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        """Compare-and-set on the version that was read.

        Args:
            under_lease_until: also require that our lease holds at least until then (rule 9: an intent may only be
                written by a holder whose lease outlasts the call it announces).

        Raises:
            Conflict: the document was changed since it was read.
            LeaseLost: the lease is another's, or ends too early.
        """
        saved = rollback.evolve(version=rollback.version + 1)
        items = [_replace_write(self._table, rollback, saved)]
        if under_lease_until is not None:
            items.append(self._require_lease(rollback, under_lease_until))
        items += build_index_writes(self._table, saved)
        try:
            self._table.call(self._table.client.transact_write_items, TransactItems=items)
        except ConditionFailed as error:
            if under_lease_until is not None and error.failed[:2] == [False, True]:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}") from error
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def reopen(self, rollback: Rollback) -> Rollback:
        """Save a document that another execution looks at again, and remember which execution that is.

        Raises:
            Conflict: the document was changed since it was read.
        """
        saved = rollback.evolve(version=rollback.version + 1)
        items = [
            _replace_write(self._table, rollback, saved),
            self._execution_write(saved),
            *build_index_writes(self._table, saved),
        ]
        try:
            self._table.call(self._table.client.transact_write_items, TransactItems=items)
        except ConditionFailed as error:
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def history(self, service: str, before: str | None = None) -> Iterator[Rollback]:
        """The `records` that can be read."""
        return (one for one in self.records(service, before) if isinstance(one, Rollback))

    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        """Rollbacks of a service, newest first, page by page as they are asked for; also those that can't be read.

        Args:
            before: only those older than the rollback with this id.
        """
        newest = f"ROLLBACK#{before}" if before is not None else None
        for item in self._table.query(f"SERVICE#{service}", "ROLLBACK#", last=newest, page_size=_PAGE):
            if newest is not None and item["sk"]["S"] == newest:
                continue
            try:
                yield _read(item)
            except UnreadableItem as unreadable:
                yield unreadable

    def _event_writes(self, rollback: Rollback) -> list["TransactWriteItemTypeDef"]:
        if rollback.event is None:
            return []
        item = {
            **key(f"EVENT#{rollback.event.id}", "SEEN"),
            "rollback_id": {"S": rollback.id},
            "expires": _expires(rollback.created_at + _EVENT_KEPT),
        }
        return [_put_write(self._table, item, "attribute_not_exists(pk)")]

    def _execution_write(self, rollback: Rollback) -> "TransactWriteItemTypeDef":
        item = {
            **key(f"EXECUTION#{rollback.execution or rollback.id}", "ROLLBACK"),
            "service": {"S": rollback.service_name},
            "rollback_id": {"S": rollback.id},
            "expires": _expires(rollback.began_at + retention_of(rollback)),
        }
        return _put_write(self._table, item)

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


def build_index_writes(table: LedgerTable, rollback: Rollback) -> list["TransactWriteItemTypeDef"]:
    """The index of a document, as the parts of a transaction: entries that hold are put, the others deleted."""
    writes: list[TransactWriteItemTypeDef] = []
    for (pk, sk), entry in build_entries(rollback).items():
        if entry is None:
            writes.append({"Delete": {"TableName": table.name, "Key": key(pk, sk)}})
            continue
        item = {**key(pk, sk), "body": {"S": entry.model_dump_json()}}
        if pk.startswith("SERVICE#"):  # changes and answers are read since a time; nothing asks for old ones
            item["expires"] = _expires(rollback.began_at + retention_of(rollback))
        writes.append(_put_write(table, item))
    return writes


def require_unchanged(table: LedgerTable, rollback: Rollback) -> "TransactWriteItemTypeDef":
    """The condition that a document has not been saved since it was read."""
    return {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
            "ConditionExpression": "#version = :read",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":read": {"N": str(rollback.version)}},
        }
    }


def retention_of(rollback: Rollback) -> timedelta:
    """How long the record of a rollback is kept (`record_days`)."""
    policy = rollback.settings.policy if rollback.settings is not None else Policy()
    return timedelta(days=policy.record_days)


def _put_write(table: LedgerTable, item: dict[str, Any], condition: str | None = None) -> "TransactWriteItemTypeDef":
    put: TransactWriteItemTypeDef = {"Put": {"TableName": table.name, "Item": item}}
    if condition is not None:
        put["Put"]["ConditionExpression"] = condition
    return put


def _replace_write(table: LedgerTable, read: Rollback, saved: Rollback) -> "TransactWriteItemTypeDef":
    return {
        "Put": {
            "TableName": table.name,
            "Item": _document(saved),
            "ConditionExpression": "#version = :read",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":read": {"N": str(read.version)}},
        }
    }


def _document(rollback: Rollback) -> dict[str, Any]:
    """The item. It expires only when nothing is to be done about the rollback any more, and nothing is owed."""
    item = {
        **key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
        "version": {"N": str(rollback.version)},
        "body": {"S": rollback.model_dump_json()},
    }
    held = [entry for (pk, _), entry in build_entries(rollback).items() if not pk.startswith("SERVICE#")]
    if rollback.concluded_at is not None and not any(held):
        item["expires"] = _expires(rollback.concluded_at + retention_of(rollback))
    return item


def _expires(at: datetime) -> dict[str, str]:
    return {"N": str(int(at.timestamp()))}


def _read(item: dict[str, Any]) -> Rollback:
    return read_stored(Rollback, name_of(item), text_of(item, "body"))
