"""What people decided and did by hand, in the ledger: pauses, and levers with their reasons."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from rollback.adapters.ledger.table import LedgerTable, key, name_of, text_of
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.stored import read_stored
from rollback.errors import UnreadableItem

_PAGE = 10


class LedgerOperators:
    """`SERVICE#<name>` / `PAUSE`, and `OPERATOR#<time>#<verb>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def pause(self, service: str) -> Pause | None:
        """The pause of a service's automatic rollbacks, if there is one.

        A pause that can't be read is still a pause: an operator made it.
        """
        item = self._table.get(f"SERVICE#{service}", "PAUSE")
        if item is None:
            return None
        try:
            return read_stored(Pause, name_of(item), text_of(item, "body"))
        except UnreadableItem as unreadable:
            return Pause(service=service, since=datetime.fromtimestamp(0, UTC), by="unknown", reason=str(unreadable))

    def put_pause(self, pause: Pause) -> None:
        """Begin a pause; one that has begun already keeps its beginning and its reason."""
        self._table.put_once({**key(f"SERVICE#{pause.service}", "PAUSE"), "body": {"S": pause.model_dump_json()}})

    def end_pause(self, service: str) -> None:
        """Automatic rollbacks are on again."""
        delete = self._table.client.delete_item
        self._table.call(delete, TableName=self._table.name, Key=key(f"SERVICE#{service}", "PAUSE"))

    def record_action(self, action: OperatorAction) -> None:
        """Keep what was done, by whom and why."""
        sk = f"OPERATOR#{action.at:%Y-%m-%dT%H:%M:%S.%fZ}#{action.verb}"
        self._table.put_once({**key(f"SERVICE#{action.service}", sk), "body": {"S": action.model_dump_json()}})

    def actions(self, service: str) -> Iterator[OperatorAction]:
        """All that can be read, newest first, page by page as they are asked for."""
        for item in self._table.query(f"SERVICE#{service}", "OPERATOR#", page_size=_PAGE):
            with contextlib.suppress(UnreadableItem):
                yield read_stored(OperatorAction, name_of(item), text_of(item, "body"))
