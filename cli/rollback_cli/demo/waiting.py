"""Wait for a condition, with a limit. Generous limits cost nothing, and a busy machine is slow."""

import time
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")


class ExpectationFailed(Exception):
    """The demo did not go as its scenario expects; the message says what was expected."""


def wait_until(condition: str, find: Callable[[], _Answer | None], limit_seconds: float) -> _Answer:
    """Check a condition twice a second.

    Args:
        condition: a sentence without a full stop, for the message.
        find: checks the condition, and returns nothing or False while it is not met.
        limit_seconds: real seconds.

    Returns:
        The first answer other than nothing and False.

    Raises:
        ExpectationFailed: the condition was not met within `limit_seconds`.
    """
    deadline = time.monotonic() + limit_seconds
    while not (answer := find()):
        if time.monotonic() > deadline:
            raise ExpectationFailed(f"not true within {limit_seconds:g} s: {condition}")
        time.sleep(0.5)
    return answer
