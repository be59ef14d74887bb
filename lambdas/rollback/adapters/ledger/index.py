"""Ledger items of the index: pending rollbacks, obligations, changes and results of triggers.

A ledger that is older than the index has none of these items. Until `build_index` has made them, the documents are
read instead: the result is the same, but slow.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel

from rollback.adapters.ledger.documents import LedgerDocuments, build_index_parts, require_unchanged
from rollback.adapters.ledger.releases import index_release
from rollback.adapters.ledger.table import (
    INDEX_MARK,
    ConditionFailed,
    key,
    parse_body,
    parse_readable_bodies,
    text_of,
)
from rollback.domain.drills.completed_drill import CompletedDrill
from rollback.domain.ledger.index import (
    OBLIGATIONS,
    PENDING,
    ChangeEntry,
    Entry,
    Key,
    ObligationsEntry,
    PendingEntry,
    TriggerResultEntry,
    build_entries,
    format_sortable_time,
)
from rollback.domain.ledger.index_build import IndexBuild
from rollback.domain.rollback import Rollback
from rollback.domain.stored import ReadResult, SkippedItem
from rollback.errors import UnreadableItem

EntryT = TypeVar("EntryT", bound=BaseModel)

_PAGE = 25  # items of a request


class LedgerIndex(LedgerDocuments):
    """Adapter of the index, and of the documents that it is built from.

    The items are `PENDING` and `OBLIGATIONS` / `<service>#<id>`, and `SERVICE#<name>` / `CHANGE#<time>#<id>`,
    `ANSWER#<alarm>#<time>#<id>` and `DRILL#<time>#<id>`.
    """

    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        """Query one partition for all services."""
        prefix = f"{service}#" if service is not None else ""
        entries = self._list_entries(PendingEntry, self._table.query(PENDING, prefix), service)
        sorted_entries = sorted(entries.items, key=lambda entry: (entry.service, entry.rollback_id))
        return ReadResult(tuple(sorted_entries), entries.unreadable)

    def obligations(self, service: str) -> ReadResult[ObligationsEntry]:
        """Query by the service in the sort key."""
        entries = self._list_entries(ObligationsEntry, self._table.query(OBLIGATIONS, f"{service}#"), service)
        return ReadResult(
            tuple(sorted(entries.items, key=lambda entry: entry.rollback_id, reverse=True)), entries.unreadable
        )

    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        """Query by the time in the sort key."""
        items = self._table.query(f"SERVICE#{service}", "CHANGE#", first=f"CHANGE#{format_sortable_time(since)}")
        entries = self._list_entries(ChangeEntry, items, service)
        matching = [entry for entry in entries.items if entry.admitted_at >= since]
        return ReadResult(
            tuple(sorted(matching, key=lambda entry: entry.admitted_at, reverse=True)), entries.unreadable
        )

    def trigger_results(self, service: str, alarm: str, since: datetime) -> ReadResult[TriggerResultEntry]:
        """Query by alarm and time in the sort key."""
        prefix = f"ANSWER#{alarm}#"
        items = self._table.query(f"SERVICE#{service}", prefix, first=f"{prefix}{format_sortable_time(since)}")
        entries = self._list_entries(TriggerResultEntry, items, service)
        matching = [entry for entry in entries.items if entry.alarm == alarm and entry.created_at >= since]
        return ReadResult(tuple(sorted(matching, key=lambda entry: entry.created_at, reverse=True)), entries.unreadable)

    def last_drill(self, service: str) -> CompletedDrill | None:
        """Query the newest item by the time in the sort key."""
        items = self._table.query(f"SERVICE#{service}", "DRILL#", page_size=1)
        return next(parse_readable_bodies(CompletedDrill, items), None)

    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        """Delete the rollback's `PENDING` and `OBLIGATIONS` items."""
        for partition in (PENDING, OBLIGATIONS):
            self._table.delete(partition, f"{service}#{rollback_id}")

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        """Store the item's key once, under `UNREADABLE`."""
        self._table.record_unreadable(unreadable, at)

    def unreadable(self) -> tuple[SkippedItem, ...]:
        """Query the partition `UNREADABLE`."""
        return tuple(
            SkippedItem(key=item["sk"]["S"], why=text_of(item, "why") or "not known", is_reported="is_reported" in item)
            for item in self._table.query("UNREADABLE")
        )

    def mark_reported(self, unreadable: SkippedItem) -> None:
        """Set `is_reported` on the item."""
        self._table.call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=key("UNREADABLE", unreadable.key),
            UpdateExpression="SET is_reported = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        """Write the entries of at most `ITEMS_A_CALL` documents and releases, since a function has a minute.

        The next call continues there. A function of an older version may still save documents without their entries.
        So the index counts as complete after a second pass that began when no such function could run any more.
        """
        if self._table.is_indexed():
            return True
        build = self._table.get_readable_body(IndexBuild, *INDEX_MARK) or IndexBuild(first_started_at=now)
        remaining = self.ITEMS_A_CALL
        while remaining > 0 and not build.is_complete and not build.has_to_wait(now):
            item_count, build = self._index_some(build, services, remaining)
            remaining -= item_count
        item = {**key(*INDEX_MARK), "body": {"S": build.model_dump_json()}, "complete": {"BOOL": build.is_complete}}
        self._table.put(item)
        return build.is_complete

    ITEMS_A_CALL = 500

    def _index_some(self, build: IndexBuild, services: tuple[str, ...], most: int) -> tuple[int, IndexBuild]:
        """Index the next items of one service and kind, and return their number and the progress of the build."""
        parts = [(service, prefix) for service in services for prefix in ("ROLLBACK#", "RELEASE#")]
        if build.part >= len(parts):
            return 0, build.complete_pass()
        service, prefix = parts[build.part]
        items = self._table.query(f"SERVICE#{service}", prefix, last=build.before, page_size=_PAGE)
        item_count, last_sort_key = 0, build.before
        for item in islice((item for item in items if item["sk"]["S"] != build.before), most):
            item_count, last_sort_key = item_count + 1, item["sk"]["S"]
            if prefix == "RELEASE#":
                index_release(self._table, item)
            else:
                self._index_document(item)
        return item_count, build.advance(item_count, last_sort_key if item_count == most else None)

    def _index_document(self, item: dict[str, Any]) -> None:
        """Write the entries of a document; a document that is saved during the build brings its own entries."""
        with contextlib.suppress(UnreadableItem, ConditionFailed):
            rollback = parse_body(Rollback, item)
            puts = [part for part in build_index_parts(self._table, rollback) if "Put" in part]
            if puts:
                self._table.transact([require_unchanged(self._table, rollback), *puts])

    def _list_entries(
        self, kind: type[EntryT], items: Iterator[dict[str, Any]], service: str | None
    ) -> ReadResult[EntryT]:
        entries: dict[Key, EntryT] = {}
        unreadable: list[UnreadableItem] = []
        if service is not None and not self._table.is_indexed():
            entries |= _derive_entries(kind, self.history(service), service)
        for item in items:
            try:
                at = item["pk"]["S"], item["sk"]["S"]
                entries[at] = parse_body(kind, item)
            except UnreadableItem as error:
                unreadable.append(error)
        return ReadResult(tuple(entries.values()), tuple(unreadable))


def _derive_entries(kind: type[EntryT], history: Iterator[Rollback], service: str) -> dict[Key, EntryT]:
    """Derive the entries of one kind about a service from its documents."""

    def is_about(entry: Entry) -> bool:
        return getattr(entry, "service", service) == service

    return {
        at: entry
        for rollback in history
        for at, entry in build_entries(rollback).items()
        if isinstance(entry, kind) and is_about(entry)
    }
