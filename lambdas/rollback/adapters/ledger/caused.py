"""Deployments of a team's own release that a rollback asked for, in the ledger: the last one of each service."""

import contextlib

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, name_of, seconds, text_of
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.stored import read_stored
from rollback.errors import UnreadableItem


class LedgerCausedDeployments:
    """`SERVICE#<name>` / `CAUSED_DEPLOYMENT`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def caused_deployment(self, service: str) -> CausedDeployment | None:
        """The last one; None: there was none, or it can't be read."""
        item = self._table.get(f"SERVICE#{service}", "CAUSED_DEPLOYMENT")
        with contextlib.suppress(UnreadableItem):
            return read_stored(CausedDeployment, name_of(item), text_of(item, "body")) if item is not None else None
        return None

    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        """Replace the last one, unless a newer one was put already."""
        with contextlib.suppress(ConditionFailed):
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item={
                    **key(f"SERVICE#{caused.service}", "CAUSED_DEPLOYMENT"),
                    "asked_at": {"N": seconds(caused.asked_at)},
                    "body": {"S": caused.model_dump_json()},
                },
                ConditionExpression=(
                    "attribute_not_exists(pk) OR asked_at <= :mine OR NOT attribute_type(asked_at, :number)"
                ),
                ExpressionAttributeValues={":mine": {"N": seconds(caused.asked_at)}, ":number": {"S": "N"}},
            )
