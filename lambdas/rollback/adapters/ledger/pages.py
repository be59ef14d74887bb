"""Ledger items that count pages: one item for each service and cause, replaced by compare-and-set."""

from datetime import timedelta

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, expiry, key, parse_readable_bodies
from rollback.canonical_json import sha256_of
from rollback.domain.ledger.page_count import PageCount
from rollback.errors import Conflict

_PARTITION = "PAGES"
_RETENTION = timedelta(days=30)  # after the last page about a cause; a later page is news again


class LedgerPages:
    """Adapter of `PAGES` / `<service>#<hash of the aggregation key>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def page_count(self, service: str, aggregation_key: str) -> PageCount | None:
        """Take an unreadable count for none, so that the next page is sent."""
        return self._table.get_readable_body(PageCount, _PARTITION, _sort_key(service, aggregation_key))

    def put_page_count(self, count: PageCount, previous_count: PageCount | None) -> None:
        """Compare `version`; an item without a number there is damaged and is replaced."""
        condition, values = "attribute_not_exists(pk) OR NOT attribute_type(#v, :number)", {":number": {"S": "N"}}
        if previous_count is not None:
            condition, values = "#v = :read", {":read": {"N": str(previous_count.version)}}
        item = {
            **key(_PARTITION, _sort_key(count.service, count.aggregation_key)),
            "version": {"N": str(count.version)},
            "expires": expiry(count.last_at + _RETENTION),
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
            raise Conflict(
                f"the count of pages of {count.service} was changed since it was read: read the count again"
            ) from error

    def page_counts(self) -> tuple[PageCount, ...]:
        """Query the whole partition."""
        counts = parse_readable_bodies(PageCount, self._table.query(_PARTITION))
        return tuple(count for count in counts if count.unreported)


def _sort_key(service: str, aggregation_key: str) -> str:
    return f"{service}#{sha256_of({'aggregation_key': aggregation_key})[:32]}"
