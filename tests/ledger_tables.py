"""Tables for ledgers in the embedded cloud, as the stack makes them."""

import uuid
from typing import Any

Table = tuple[Any, str]
"""DynamoDB's client and the table's name: what `DynamoLedger` takes."""


def new_table(client: Any) -> Table:
    """A table of its own, empty."""
    name = f"ledger-{uuid.uuid4()}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return client, name
