"""The index in the table: open rollbacks, debts, changes and answers to alarms, each read from its own items.

A ledger from before this index has none of these items. Until `build_index` has made them, the documents themselves are
read: slow, and the same answer.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel

from rollback.adapters.ledger.documents import LedgerDocuments, build_index_writes, require_unchanged
from rollback.adapters.ledger.releases import index_release
from rollback.adapters.ledger.table import INDEX_MARK, ConditionFailed, key, name_of, text_of
from rollback.domain.index_build import IndexBuild
from rollback.domain.ledger_index import (
    OWED,
    PENDING,
    AnswerEntry,
    ChangeEntry,
    Entry,
    Key,
    ObligationsEntry,
    PendingEntry,
    build_entries,
    format_sortable_time,
)
from rollback.domain.rollback import Rollback
from rollback.domain.stored import ReadResult, SkippedItem, read_stored
from rollback.errors import UnreadableItem

EntryT = TypeVar("EntryT", bound=BaseModel)

_PAGE = 25  # items a request


class LedgerIndex(LedgerDocuments):
    """`PENDING`, `OWED` / `<service>#<id>`; `SERVICE#<name>` / `CHANGE#<time>#<id>`, `ANSWER#<alarm>#<time>#<id>`."""

    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        """Rollbacks about which something is still to be done, oldest first; None: of all services."""
        prefix = f"{service}#" if service is not None else ""
        found = self._list_entries(PendingEntry, self._table.query(PENDING, prefix), service)
        ordered = sorted(found.items, key=lambda one: (one.service, one.rollback_id))
        return ReadResult(tuple(ordered), found.unreadable)

    def owed(self, service: str) -> ReadResult[ObligationsEntry]:
        """Changes to this service that rollbacks have not put back, the last rollback first."""
        found = self._list_entries(ObligationsEntry, self._table.query(OWED, f"{service}#"), service)
        return ReadResult(tuple(sorted(found.items, key=lambda one: one.rollback_id, reverse=True)), found.unreadable)

    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        """Rollbacks that were admitted since then and changed something, or may have; newest first."""
        items = self._table.query(f"SERVICE#{service}", "CHANGE#", first=f"CHANGE#{format_sortable_time(since)}")
        found = self._list_entries(ChangeEntry, items, service)
        kept = [one for one in found.items if one.admitted_at >= since]
        return ReadResult(tuple(sorted(kept, key=lambda one: one.admitted_at, reverse=True)), found.unreadable)

    def answers(self, service: str, alarm: str, since: datetime) -> ReadResult[AnswerEntry]:
        """Rollbacks that this alarm has asked for since then, newest first."""
        prefix = f"ANSWER#{alarm}#"
        items = self._table.query(f"SERVICE#{service}", prefix, first=f"{prefix}{format_sortable_time(since)}")
        found = self._list_entries(AnswerEntry, items, service)
        kept = [one for one in found.items if one.alarm == alarm and one.created_at >= since]
        return ReadResult(tuple(sorted(kept, key=lambda one: one.created_at, reverse=True)), found.unreadable)

    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        """Forget what is pending and owed of a rollback whose document can't be read; an operator settled it."""
        for partition in (PENDING, OWED):
            self._table.delete(partition, f"{service}#{rollback_id}")

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        """Remember that an item can't be read, so that an operator is told of it, once."""
        self._table.record_unreadable(unreadable, at)

    def unreadable(self) -> tuple[SkippedItem, ...]:
        """Items that could not be read when they were needed."""
        return tuple(
            SkippedItem(key=item["sk"]["S"], why=text_of(item, "why") or "not known", is_reported="told" in item)
            for item in self._table.query("UNREADABLE")
        )

    def mark_reported(self, unreadable: SkippedItem) -> None:
        """An operator was told of this item."""
        self._table.call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=key("UNREADABLE", unreadable.key),
            UpdateExpression="SET told = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        """Go on making the index of a ledger from before it. True: it is complete, and read from now on.

        A call makes the entries of `ITEMS_A_CALL` documents and releases at most: a function has a minute. The next
        call goes on there. A function of the version before may still save documents without their entries: the index
        counts as complete after a second pass, begun when none of those functions can run any more.
        """
        if self._table.is_indexed():
            return True
        mark = self._table.get(*INDEX_MARK)
        build = IndexBuild(first_started_at=now)
        with contextlib.suppress(UnreadableItem):  # then it is built from the beginning
            build = read_stored(IndexBuild, name_of(mark), text_of(mark, "body")) if mark is not None else build
        left = self.ITEMS_A_CALL
        while left > 0 and not build.is_complete and not build.has_to_wait(now):
            done, build = self._index_some(build, services, left)
            left -= done
        item = {**key(*INDEX_MARK), "body": {"S": build.model_dump_json()}, "complete": {"BOOL": build.is_complete}}
        self._table.call(self._table.client.put_item, TableName=self._table.name, Item=item)
        return build.is_complete

    ITEMS_A_CALL = 500

    def _index_some(self, build: IndexBuild, services: tuple[str, ...], most: int) -> tuple[int, IndexBuild]:
        """The next items of one service and kind, and where the build is then."""
        parts = [(service, prefix) for service in services for prefix in ("ROLLBACK#", "RELEASE#")]
        if build.part >= len(parts):
            return 0, build.complete_pass()
        service, prefix = parts[build.part]
        items = self._table.query(f"SERVICE#{service}", prefix, last=build.before, page_size=_PAGE)
        done, last = 0, build.before
        for item in islice((one for one in items if one["sk"]["S"] != build.before), most):
            done, last = done + 1, item["sk"]["S"]
            if prefix == "RELEASE#":
                index_release(self._table, item)
            else:
                self._index_document(item)
        return done, build.advance(done, last if done == most else None)

    def _index_document(self, item: dict[str, Any]) -> None:
        """Entries of one document. One that is saved meanwhile brings its entries itself."""
        with contextlib.suppress(UnreadableItem, ConditionFailed):
            rollback = read_stored(Rollback, name_of(item), text_of(item, "body"))
            writes = [write for write in build_index_writes(self._table, rollback) if "Put" in write]
            if writes:
                unchanged = require_unchanged(self._table, rollback)
                self._table.call(self._table.client.transact_write_items, TransactItems=[unchanged, *writes])

    def _list_entries(
        self, kind: type[EntryT], items: Iterator[dict[str, Any]], service: str | None
    ) -> ReadResult[EntryT]:
        found: dict[Key, EntryT] = {}
        unreadable: list[UnreadableItem] = []
        if service is not None and not self._table.is_indexed():
            found |= _derive_entries(kind, self.history(service), service)
        for item in items:
            try:
                at = item["pk"]["S"], item["sk"]["S"]
                found[at] = read_stored(kind, name_of(item), text_of(item, "body"))
            except UnreadableItem as error:
                unreadable.append(error)
        return ReadResult(tuple(found.values()), tuple(unreadable))


def _derive_entries(kind: type[EntryT], history: Iterator[Rollback], service: str) -> dict[Key, EntryT]:
    """The entries of one kind about a service, from its documents."""

    def is_about(entry: Entry) -> bool:
        return getattr(entry, "service", service) == service

    return {
        at: entry
        for rollback in history
        for at, entry in build_entries(rollback).items()
        if isinstance(entry, kind) and is_about(entry)
    }
