"""The ledger: one DynamoDB table for documents, leases and releases; every write is conditional.

A document is stored as JSON in `body`, beside the attributes that conditions need.
"""

from typing import TYPE_CHECKING

from rollback.world.ledger_branches import LedgerBranches
from rollback.world.ledger_documents import LedgerDocuments
from rollback.world.ledger_leases import LedgerLeases
from rollback.world.ledger_operators import LedgerOperators
from rollback.world.ledger_releases import LedgerReleases
from rollback.world.ledger_table import LedgerTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoLedger(LedgerDocuments, LedgerLeases, LedgerReleases, LedgerBranches, LedgerOperators):
    """Adapter of one environment's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        super().__init__(LedgerTable(client, table))
