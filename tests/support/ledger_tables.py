"""Tables for ledgers in the embedded cloud, with the keys that the stack gives them."""

import uuid
from typing import Any

Table = tuple[Any, str]
"""DynamoDB's client and the table's name: the arguments of `DynamoLedger`."""


def new_table(client: Any) -> Table:
    """Create an empty table."""
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
