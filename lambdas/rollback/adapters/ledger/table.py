"""The ledger's DynamoDB table: keys, requests, bodies, and conditions that did not hold."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.domain.stored import StoredT, read_stored
from rollback.errors import UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


INDEX_MARK = ("LEDGER", "INDEX")
_SORT_KEY = 1000  # characters; DynamoDB allows 1,024 bytes


class ConditionFailed(Exception):
    """DynamoDB refused a conditional write.

    Attributes:
        failed: for each part of a transaction, whether its condition did not hold.
    """

    def __init__(self, error: ClientError) -> None:
        super().__init__(str(error))
        reasons = error.response.get("CancellationReasons", [])
        self.failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]


class LedgerTable:
    """One environment's DynamoDB table."""

    def __init__(self, client: "DynamoDBClient", name: str, suspect_release_days: float | None = None) -> None:
        self.client = client
        self.name = name
        self.suspect_release_days = suspect_release_days
        self._is_indexed = False

    def is_indexed(self) -> bool:
        """Report whether the index is complete; an older ledger is read document by document until then."""
        if not self._is_indexed:
            mark = self.get(*INDEX_MARK)
            self._is_indexed = mark is not None and mark.get("complete", {}).get("BOOL") is True
        return self._is_indexed

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime, raw: dict[str, Any] | None = None) -> None:
        """Remember once that an item can't be read.

        Args:
            unreadable: the error of reading the item.
            at: the present time.
            raw: the unreadable item, if another item takes its place.
        """
        item = {**key("UNREADABLE", unreadable.key[:_SORT_KEY]), "at": {"N": seconds(at)}, "why": {"S": unreadable.why}}
        self.put_once(item if raw is None else {**item, "raw": {"S": json.dumps(raw, default=str)}})

    def call(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        """Send one request.

        Raises:
            ConditionFailed: a condition did not hold; the caller explains it.
            ExternalServiceError: any other failure.
        """
        with aws_call(operation.__name__, self.name):
            try:
                return operation(**parameters)
            except ClientError as error:
                if _is_conditional(error):
                    raise ConditionFailed(error) from error
                raise

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        """Read one item (consistent read), or return None."""
        answer = self.call(self.client.get_item, TableName=self.name, Key=key(pk, sk), ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def get_body(self, kind: type[StoredT], pk: str, sk: str) -> StoredT | None:
        """Read the model in the `body` of an item, or return None if there is no item.

        Raises:
            UnreadableItem: the item can't be read.
        """
        item = self.get(pk, sk)
        return parse_body(kind, item) if item is not None else None

    def get_readable_body(self, kind: type[StoredT], pk: str, sk: str) -> StoredT | None:
        """Read the model in the `body` of an item, or return None if there is no item that can be read."""
        with contextlib.suppress(UnreadableItem):
            return self.get_body(kind, pk, sk)
        return None

    def put(self, item: dict[str, Any]) -> None:
        """Store an item in place of any other."""
        self.call(self.client.put_item, TableName=self.name, Item=item)

    def put_unless_newer(self, item: dict[str, Any], time_attribute: str, at: datetime) -> None:
        """Store an item with its time, unless the stored item has a later time; an unreadable time is replaced."""
        newest = f"attribute_not_exists(pk) OR {time_attribute} <= :at OR NOT attribute_type({time_attribute}, :number)"
        with contextlib.suppress(ConditionFailed):
            self.call(
                self.client.put_item,
                TableName=self.name,
                Item={**item, time_attribute: {"N": seconds(at)}},
                ConditionExpression=newest,
                ExpressionAttributeValues={":at": {"N": seconds(at)}, ":number": {"S": "N"}},
            )

    def transact(self, items: "list[TransactWriteItemTypeDef]") -> None:
        """Write all parts of a transaction, or none.

        Raises:
            ConditionFailed: a condition did not hold.
        """
        self.call(self.client.transact_write_items, TransactItems=items)

    def put_part(self, item: dict[str, Any], condition: str | None = None) -> "TransactWriteItemTypeDef":
        """Make the part of a transaction that stores an item."""
        part: TransactWriteItemTypeDef = {"Put": {"TableName": self.name, "Item": item}}
        if condition is not None:
            part["Put"]["ConditionExpression"] = condition
        return part

    def put_once(self, item: dict[str, Any]) -> None:
        """Store an item, unless the table has an item of that key."""
        with contextlib.suppress(ConditionFailed):
            put = self.client.put_item
            self.call(put, TableName=self.name, Item=item, ConditionExpression="attribute_not_exists(pk)")

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item; a missing item counts as success."""
        self.call(self.client.delete_item, TableName=self.name, Key=key(pk, sk))

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        first: str | None = None,
        last: str | None = None,
        page_size: int | None = None,
        newest_first: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the items of a partition by sort key, and request each page when it is needed.

        Args:
            pk: partition key.
            prefix: beginning of the sort keys.
            first: lowest sort key, in place of the lowest key with the prefix.
            last: highest sort key, itself included.
            page_size: items of one request; None asks for as many as fit into 1 MB.
            newest_first: descending order of sort keys.
        """
        condition, values = "pk = :pk", {":pk": {"S": pk}}
        if first is not None or last is not None:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": {"S": first or prefix}, ":last": {"S": last or prefix + _AFTER_ALL}}
        elif prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = {"S": prefix}
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
            PaginationConfig={"PageSize": page_size} if page_size is not None else {},
        )
        with aws_call("query", self.name):
            for page in pages:
                yield from page["Items"]


_AFTER_ALL = "\uffff"  # sorts after every character that a sort key of the ledger has


def text_of(item: dict[str, Any], name: str) -> str | None:
    """Return an attribute of type string; None: a damaged item may lack it, or have another type."""
    text = item.get(name, {}).get("S")
    return text if isinstance(text, str) else None


def name_of(item: dict[str, Any]) -> str:
    """Return an item's key, by which an operator finds it."""
    return f"{item['pk']['S']} / {item['sk']['S']}"


def parse_body(kind: type[StoredT], item: dict[str, Any]) -> StoredT:
    """Parse the model in the `body` of an item.

    Raises:
        UnreadableItem: the body is damaged, or of a newer version.
    """
    return read_stored(kind, name_of(item), text_of(item, "body"))


def parse_readable_bodies(kind: type[StoredT], items: Iterable[dict[str, Any]]) -> Iterator[StoredT]:
    """Parse the `body` of each item, without the items that can't be read."""
    for item in items:
        with contextlib.suppress(UnreadableItem):
            yield parse_body(kind, item)


def key(pk: str, sk: str) -> dict[str, Any]:
    """Return a primary key in DynamoDB's types."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def seconds(at: datetime) -> str:
    """Format a time as a number that conditions can compare: seconds since 1970."""
    return f"{at.timestamp():.3f}"


def sortable_time(at: datetime) -> str:
    """Format a time for a sort key: texts sort as their times do."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def expiry(at: datetime) -> dict[str, str]:
    """Return the value of `expires`, the attribute by which DynamoDB deletes an item (time to live)."""
    return {"N": str(int(at.timestamp()))}


def _is_conditional(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        return "ConditionalCheckFailed" in reasons
    return code == "ConditionalCheckFailedException"
