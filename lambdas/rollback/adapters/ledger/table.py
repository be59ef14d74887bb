"""The ledger's table: keys, requests, and conditions that did not hold."""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.errors import UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


INDEX_MARK = ("LEDGER", "INDEX")
_SORT_KEY = 1000  # characters; DynamoDB allows 1,024 bytes


class ConditionFailed(Exception):
    """A conditional write was refused; `failed` says which parts of a transaction did not hold."""

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
        """Whether what must hold has items of its own; a ledger from before them is read document by document."""
        if not self._is_indexed:
            mark = self.get(*INDEX_MARK)
            self._is_indexed = mark is not None and mark.get("complete", {}).get("BOOL") is True
        return self._is_indexed

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime, raw: dict[str, Any] | None = None) -> None:
        """Remember that an item can't be read, once; `raw`: the item, where its place is taken."""
        item = {**key("UNREADABLE", unreadable.key[:_SORT_KEY]), "at": {"N": seconds(at)}, "why": {"S": unreadable.why}}
        self.put_once(item if raw is None else {**item, "raw": {"S": json.dumps(raw, default=str)}})

    def call(self, operation: Callable[..., Any], **given: Any) -> Any:
        """Send one request.

        Raises:
            ConditionFailed: for the caller to explain.
            ExternalServiceError: anything else.
        """
        with aws_call(operation.__name__, self.name):
            try:
                return operation(**given)
            except ClientError as error:
                if _is_conditional(error):
                    raise ConditionFailed(error) from error
                raise

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        """One item as it stands (consistent read)."""
        answer = self.call(self.client.get_item, TableName=self.name, Key=key(pk, sk), ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def put_once(self, item: dict[str, Any]) -> None:
        """Store an item; one that is there already stays as it is."""
        with contextlib.suppress(ConditionFailed):
            put = self.client.put_item
            self.call(put, TableName=self.name, Item=item, ConditionExpression="attribute_not_exists(pk)")

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item; one that is not there is success."""
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
        """Items of a partition whose sort key begins so; the next page is asked for when it is needed.

        Args:
            first: the lowest sort key, in place of all that begin with the prefix.
            last: the highest one, itself included.
            page_size: items a request; None: as many as fit into 1 MB.
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


_AFTER_ALL = "\uffff"  # sorts after every character of a sort key of ours


def text_of(item: dict[str, Any], name: str) -> str | None:
    """An attribute of type string; None: the item has none of that name and type. Items may be damaged."""
    text = item.get(name, {}).get("S")
    return text if isinstance(text, str) else None


def name_of(item: dict[str, Any]) -> str:
    """An item's key, for an operator to find it."""
    return f"{item['pk']['S']} / {item['sk']['S']}"


def key(pk: str, sk: str) -> dict[str, Any]:
    """A primary key in DynamoDB's types."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def seconds(at: datetime) -> str:
    """A time as a number that conditions can compare: seconds since 1970."""
    return f"{at.timestamp():.3f}"


def _is_conditional(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        return "ConditionalCheckFailed" in reasons
    return code == "ConditionalCheckFailedException"
