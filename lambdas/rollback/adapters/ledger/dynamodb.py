"""The ledger: one DynamoDB table for documents, leases and releases; every write is conditional.

A document is stored as JSON in `body`, beside the attributes that conditions need. What decisions need of a document is
kept in items of its own (`ledger_index`). An item that can't be read stops nothing but what is about it.
"""

from typing import TYPE_CHECKING

from rollback.adapters.ledger.branches import LedgerBranches
from rollback.adapters.ledger.caused import LedgerCausedDeployments
from rollback.adapters.ledger.index import LedgerIndex
from rollback.adapters.ledger.leases import LedgerLeases
from rollback.adapters.ledger.operators import LedgerOperators
from rollback.adapters.ledger.pages import LedgerPages
from rollback.adapters.ledger.releases import LedgerReleases
from rollback.adapters.ledger.table import LedgerTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoLedger(
    LedgerIndex, LedgerPages, LedgerLeases, LedgerReleases, LedgerBranches, LedgerOperators, LedgerCausedDeployments
):
    """Adapter of one environment's table.

    Args:
        suspect_release_days: how long a suspect or quarantined release is kept; None: for good.
    """

    def __init__(self, client: "DynamoDBClient", table: str, suspect_release_days: float | None = None) -> None:
        super().__init__(LedgerTable(client, table, suspect_release_days))
