"""The ledger: one DynamoDB table for documents, leases and releases.

A model is stored as JSON in `body`, beside the attributes that conditions compare. Decisions read items of the index
(`domain.ledger.index`), never whole documents. An unreadable item stops only the work that needs this item.
"""

from typing import TYPE_CHECKING

from rollback.adapters.ledger.branches import LedgerBranches
from rollback.adapters.ledger.caused import LedgerCausedDeployments
from rollback.adapters.ledger.deliveries import LedgerDeliveries
from rollback.adapters.ledger.index import LedgerIndex
from rollback.adapters.ledger.leases import LedgerLeases
from rollback.adapters.ledger.operators import LedgerOperators
from rollback.adapters.ledger.pages import LedgerPages
from rollback.adapters.ledger.releases import LedgerReleases
from rollback.adapters.ledger.table import LedgerTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoLedger(
    LedgerIndex,
    LedgerPages,
    LedgerLeases,
    LedgerReleases,
    LedgerBranches,
    LedgerOperators,
    LedgerCausedDeployments,
    LedgerDeliveries,
):
    """Adapter of one environment's table.

    Args:
        suspect_release_days: how long a suspect or quarantined release is kept; None keeps it for good.
    """

    def __init__(self, client: "DynamoDBClient", table: str, suspect_release_days: float | None = None) -> None:
        super().__init__(LedgerTable(client, table, suspect_release_days))
