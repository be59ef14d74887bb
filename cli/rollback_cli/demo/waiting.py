"""Waiting for something to become true, with a limit: generous ones cost nothing, and a busy machine is slow."""

import time
from collections.abc import Callable


class ExpectationFailed(Exception):
    """The limit was over first; the message says what was waited for."""


def wait_until(what: str, is_so: Callable[[], bool], limit_seconds: float) -> None:
    """Look again and again.

    Raises:
        ExpectationFailed: it was still not so after `limit_seconds`.
    """
    deadline = time.monotonic() + limit_seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ExpectationFailed(f"after {limit_seconds:g} s it was still not so that {what}")
        time.sleep(0.5)
