"""What must hold, read from its own items: open rollbacks, debts, changes, answers to alarms, pages.

A ledger from before this index has none of these items. Until `build_index` has made them, the documents themselves are
read: slow, and the same answer.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from rollback.model.errors import UnreadableItem
from rollback.model.ledger_index import (
    OWED,
    PENDING,
    Answer,
    Change,
    Entry,
    Key,
    Owed,
    Pending,
    entries_of,
    sortable,
)
from rollback.model.rollback import Rollback
from rollback.model.stored import Found, SetAside, read_stored
from rollback.world.ledger_documents import LedgerDocuments, entry_writes
from rollback.world.ledger_releases import index_releases
from rollback.world.ledger_table import INDEX_MARK, ConditionFailed, key, name_of

EntryT = TypeVar("EntryT", bound=BaseModel)

_OTHER_VERSIONS_WRITE = timedelta(minutes=15)  # a function of the version before may run for so long (Lambda's limit)


class LedgerIndex(LedgerDocuments):
    """`PENDING`, `OWED` / `<service>#<id>`; `SERVICE#<name>` / `CHANGE#<time>#<id>`, `ANSWER#<alarm>#<time>#<id>`."""

    def pending(self, service: str | None = None) -> Found[Pending]:
        """Rollbacks about which something is still to be done, oldest first; None: of all services."""
        prefix = f"{service}#" if service is not None else ""
        found = self._listed(Pending, self._table.query(PENDING, prefix), service)
        ordered = sorted(found.items, key=lambda one: (one.service, one.rollback_id))
        return Found(tuple(ordered), found.unreadable)

    def owed(self, service: str) -> Found[Owed]:
        """What rollbacks have changed on this service and not put back, the last rollback first."""
        found = self._listed(Owed, self._table.query(OWED, f"{service}#"), service)
        return Found(tuple(sorted(found.items, key=lambda one: one.rollback_id, reverse=True)), found.unreadable)

    def changes(self, service: str, since: datetime) -> Found[Change]:
        """Rollbacks that were admitted since then and changed something, or may have; newest first."""
        items = self._table.query(f"SERVICE#{service}", "CHANGE#", first=f"CHANGE#{sortable(since)}")
        found = self._listed(Change, items, service)
        kept = [one for one in found.items if one.admitted_at >= since]
        return Found(tuple(sorted(kept, key=lambda one: one.admitted_at, reverse=True)), found.unreadable)

    def answers(self, service: str, alarm: str, since: datetime) -> Found[Answer]:
        """Rollbacks that this alarm has asked for since then, newest first."""
        prefix = f"ANSWER#{alarm}#"
        items = self._table.query(f"SERVICE#{service}", prefix, first=f"{prefix}{sortable(since)}")
        found = self._listed(Answer, items, service)
        kept = [one for one in found.items if one.alarm == alarm and one.created_at >= since]
        return Found(tuple(sorted(kept, key=lambda one: one.created_at, reverse=True)), found.unreadable)

    def settle_unreadable(self, service: str, rollback_id: str) -> None:
        """Forget what is pending and owed of a rollback whose document can't be read; an operator settled it."""
        for partition in (PENDING, OWED):
            self._table.delete(partition, f"{service}#{rollback_id}")

    def set_aside(self, unreadable: UnreadableItem, at: datetime) -> None:
        """Remember that an item can't be read, so that an operator is told of it, once."""
        self._table.set_aside(unreadable, at)

    def unreadable(self) -> tuple[SetAside, ...]:
        """Items that could not be read when they were needed."""
        return tuple(
            SetAside(key=item["sk"]["S"], why=item["why"]["S"], is_told="told" in item)
            for item in self._table.query("UNREADABLE")
            if "why" in item
        )

    def mark_told(self, unreadable: SetAside) -> None:
        """An operator was told of this item."""
        self._table.call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=key("UNREADABLE", unreadable.key),
            UpdateExpression="SET told = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        """Make the index of a ledger from before it. True: it is complete, and read from now on.

        A function of the version before may still save documents without their entries. The index therefore counts as
        complete after it was built a second time, when none of those functions can run any more.
        """
        if self._table.is_indexed():
            return True
        mark = self._table.get(*INDEX_MARK)
        documents = sum(self._index_documents(service) for service in services)
        releases = sum(index_releases(self._table, service) for service in services)
        begun = float(mark["begun"]["N"]) if mark is not None else now.timestamp()
        is_complete = not (documents or releases) or now.timestamp() - begun >= _OTHER_VERSIONS_WRITE.total_seconds()
        item = {**key(*INDEX_MARK), "begun": {"N": f"{begun:.3f}"}, "complete": {"BOOL": is_complete}}
        self._table.call(self._table.client.put_item, TableName=self._table.name, Item=item)
        return is_complete

    def _index_documents(self, service: str) -> int:
        """Number of documents. One that is saved meanwhile brings its entries itself."""
        count = 0
        for rollback in self.history(service):
            count += 1
            self._index_document(rollback)
        return count

    def _index_document(self, rollback: Rollback) -> None:
        unchanged = {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
                "ConditionExpression": "#version = :read",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":read": {"N": str(rollback.version)}},
            }
        }
        items = [unchanged, *entry_writes(self._table, rollback)]
        try:
            self._table.call(self._table.client.transact_write_items, TransactItems=items)
        except ConditionFailed:
            return

    def _listed(self, kind: type[EntryT], items: Iterator[dict[str, Any]], service: str | None) -> Found[EntryT]:
        found: dict[Key, EntryT] = {}
        unreadable: list[UnreadableItem] = []
        if service is not None and not self._table.is_indexed():
            found |= _derived(kind, self.history(service), service)
        for item in items:
            try:
                at = item["pk"]["S"], item["sk"]["S"]
                found[at] = read_stored(kind, name_of(item), item.get("body", {}).get("S"))
            except UnreadableItem as error:
                unreadable.append(error)
        return Found(tuple(found.values()), tuple(unreadable))


def _derived(kind: type[EntryT], history: Iterator[Rollback], service: str) -> dict[Key, EntryT]:
    """The entries of one kind about a service, from its documents."""

    def is_about(entry: Entry) -> bool:
        return getattr(entry, "service", service) == service

    return {
        at: entry
        for rollback in history
        for at, entry in entries_of(rollback).items()
        if isinstance(entry, kind) and is_about(entry)
    }
