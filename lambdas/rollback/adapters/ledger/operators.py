"""Ledger items of operators' pauses and other actions."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rollback.adapters.ledger.table import LedgerTable, key, parse_readable_bodies, sortable_time
from rollback.domain.operator import OperatorAction, Pause
from rollback.errors import UnreadableItem

_PAGE = 10


class LedgerOperators:
    """Adapter of `SERVICE#<name>` / `PAUSE` and `OPERATOR#<time>#<verb>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def pause(self, service: str) -> Pause | None:
        """Take an unreadable item for a pause of unknown origin, since an operator made it."""
        try:
            return self._table.get_body(Pause, f"SERVICE#{service}", "PAUSE")
        except UnreadableItem as unreadable:
            return Pause(service=service, since=datetime.fromtimestamp(0, UTC), by="unknown", reason=str(unreadable))

    def put_pause(self, pause: Pause) -> None:
        """Store the item once."""
        self._table.put_once({**key(f"SERVICE#{pause.service}", "PAUSE"), "body": {"S": pause.model_dump_json()}})

    def end_pause(self, service: str) -> None:
        """Delete the item."""
        self._table.delete(f"SERVICE#{service}", "PAUSE")

    def record_action(self, action: OperatorAction) -> None:
        """Store the action under its time and verb, once."""
        sort_key = f"OPERATOR#{sortable_time(action.at)}#{action.verb}"
        self._table.put_once({**key(f"SERVICE#{action.service}", sort_key), "body": {"S": action.model_dump_json()}})

    def actions(self, service: str) -> Iterator[OperatorAction]:
        """Query by the time in the sort key."""
        return parse_readable_bodies(
            OperatorAction, self._table.query(f"SERVICE#{service}", "OPERATOR#", page_size=_PAGE)
        )
