"""What people decided and did by hand, in the ledger: pauses, and levers with their reasons."""

from collections.abc import Iterator

from rollback.model.operators import OperatorAction, Pause
from rollback.world.ledger_table import LedgerTable, key


class LedgerOperators:
    """`SERVICE#<name>` / `PAUSE`, and `OPERATOR#<time>#<verb>`."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def pause(self, service: str) -> Pause | None:
        """The pause of a service's automatic rollbacks, if there is one."""
        item = self._table.get(f"SERVICE#{service}", "PAUSE")
        return Pause.model_validate_json(item["body"]["S"]) if item is not None else None

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
        """All of them, newest first."""
        for item in self._table.query(f"SERVICE#{service}", "OPERATOR#"):
            yield OperatorAction.model_validate_json(item["body"]["S"])
