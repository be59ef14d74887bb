"""The ledger's table: keys, requests, and conditions that did not hold."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.world.failures import calling

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ConditionFailed(Exception):
    """A conditional write was refused; `failed` says which parts of a transaction did not hold."""

    def __init__(self, error: ClientError) -> None:
        super().__init__(str(error))
        reasons = error.response.get("CancellationReasons", [])
        self.failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]


class LedgerTable:
    """One environment's DynamoDB table."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def call(self, operation: Callable[..., Any], **given: Any) -> Any:
        """Send one request.

        Raises:
            ConditionFailed: for the caller to explain.
            OutsideFailure: anything else.
        """
        with calling(operation.__name__, self.name):
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

    def query(self, pk: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Items of a partition whose sort key begins so, the last first."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":prefix": {"S": prefix}},
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        with calling("query", self.name):
            for page in pages:
                yield from page["Items"]


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
