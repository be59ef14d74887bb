"""Wait for a condition, with a limit. Generous limits cost nothing, and a busy machine is slow."""

import time
from collections.abc import Callable


class ExpectationFailed(Exception):
    """The demo did not go as its scenario expects; the message says what was expected."""


def wait_until(condition: str, is_met: Callable[[], bool], limit_seconds: float) -> None:
    """Check a condition twice a second.

    Args:
        condition: a sentence without a full stop, for the message.
        is_met: checks the condition.
        limit_seconds: real seconds.

    Raises:
        ExpectationFailed: the condition was not met within `limit_seconds`.
    """
    deadline = time.monotonic() + limit_seconds
    while not is_met():
        if time.monotonic() > deadline:
            raise ExpectationFailed(f"not true within {limit_seconds:g} s: {condition}")
        time.sleep(0.5)
