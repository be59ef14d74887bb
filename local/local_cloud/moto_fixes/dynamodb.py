"""Concurrent conditional writes of DynamoDB: one request at a time.

moto checks a condition and writes in two moves, and threads come between. Seen with moto 5.2.5: of sixteen concurrent
conditional UpdateItem calls two succeeded. DynamoDB serialises the writes of an item. moto documents that it does not
support threads (https://github.com/getmoto/moto/pull/7166).
"""

import threading
from typing import Any

from moto.dynamodb.responses import DynamoHandler

_stock_call = DynamoHandler.call_action
_lock = threading.RLock()


def install() -> None:
    """Serve one DynamoDB request at a time."""
    DynamoHandler.call_action = _call_action


def _call_action(self: Any) -> Any:
    with _lock:
        return _stock_call(self)
