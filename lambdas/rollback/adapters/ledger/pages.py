"""Counts of pages in the ledger: one item for each service and answer, replaced as it was read."""

import contextlib
from datetime import timedelta

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, name_of, text_of
from rollback.canonical_json import sha256_of
from rollback.domain.page_count import PageCount
from rollback.domain.stored import read_stored
from rollback.errors import Conflict, UnreadableItem

_PARTITION = "PAGES"
_KEPT = timedelta(days=30)  # after the last page of its kind; a later one is news again


class LedgerPages:
    """`PAGES` / `<service>#<hash of what the pages are about>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def page_count(self, service: str, aggregation_key: str) -> PageCount | None:
        """The count; one that can't be read is none: the next page is sent."""
        item = self._table.get(_PARTITION, _sort_key(service, aggregation_key))
        with contextlib.suppress(UnreadableItem):
            return read_stored(PageCount, name_of(item), text_of(item, "body")) if item is not None else None
        return None

    def put_page_count(self, count: PageCount, read: PageCount | None) -> None:
        """Replace the count that was read.

        Raises:
            Conflict: it was changed meanwhile.
        """
        condition, values = "attribute_not_exists(pk) OR NOT attribute_type(#v, :number)", {":number": {"S": "N"}}
        if read is not None:
            condition, values = "#v = :read", {":read": {"N": str(read.version)}}
        item = {
            **key(_PARTITION, _sort_key(count.service, count.aggregation_key)),
            "version": {"N": str(count.version)},
            "expires": {"N": str(int((count.last_at + _KEPT).timestamp()))},
            "body": {"S": count.model_dump_json()},
        }
        try:
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#v": "version"},
                ExpressionAttributeValues=values,
            )
        except ConditionFailed as error:
            raise Conflict(f"the count of pages of {count.service} was changed meanwhile: read it again") from error

    def page_counts(self) -> tuple[PageCount, ...]:
        """Those that count pages which nobody was told of yet, of all services."""
        found = []
        for item in self._table.query(_PARTITION):
            with contextlib.suppress(UnreadableItem):
                found.append(read_stored(PageCount, name_of(item), text_of(item, "body")))
        return tuple(count for count in found if count.unreported)


def _sort_key(service: str, aggregation_key: str) -> str:
    return f"{service}#{sha256_of({'aggregation_key': aggregation_key})[:32]}"
