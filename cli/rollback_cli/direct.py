"""Direct mode: the same route in this process, for when Step Functions (or the functions) can't be used."""

import getpass
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from rollback.model.rollback import DIRECT
from rollback.model.route import Step, entrance
from rollback.steps.admit import admit
from rollback.steps.ports import World
from rollback.steps.walk import Cursor, cursor_of, start_emergency, walk


def whoami() -> str:
    """Who asks, for the record."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def run_directly(
    given: Mapping[str, Any],
    world: World,
    tell: Callable[[Cursor], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Cursor:
    """Walk a rollback to its end. Interrupted, it can be left: its lease runs out, and the janitor concludes it.

    Raises:
        RollbackError: what a step could not do; the ledger has how far it went.
    """
    started_at = world.clock.now()
    execution = f"{DIRECT}{whoami()}:{uuid.uuid4()}"
    if entrance(given) is Step.EMERGENCY:
        cursor = start_emergency(given, execution, started_at, world)
    else:
        cursor = cursor_of(admit(given, execution, started_at, world))
    tell(cursor)
    while cursor.next is not Step.DONE:
        before, cursor = cursor, walk(cursor.rollback_id, cursor.next, world)
        if cursor != before:
            tell(cursor)
        if cursor.wait_seconds and cursor.next is not Step.DONE:
            sleep(cursor.wait_seconds)
    return cursor
