"""Ledger items of the deployments of a team's own release that a rollback asked for."""

from rollback.adapters.ledger.table import LedgerTable, key
from rollback.domain.database.reconnection import CausedDeployment

_SORT_KEY = "CAUSED_DEPLOYMENT"


class LedgerCausedDeployments:
    """Adapter of `SERVICE#<name>` / `CAUSED_DEPLOYMENT`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def caused_deployment(self, service: str) -> CausedDeployment | None:
        """Read the item of the service."""
        return self._table.get_readable_body(CausedDeployment, f"SERVICE#{service}", _SORT_KEY)

    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        """Compare `asked_at`."""
        item = {**key(f"SERVICE#{caused.service}", _SORT_KEY), "body": {"S": caused.model_dump_json()}}
        self._table.put_unless_newer(item, "asked_at", caused.asked_at)
