"""Signals that end a process, as exceptions of its main thread; what must be done whole is not cut short by one."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALLED = 128  # a shell's exit code for a process that a signal ended, less the signal's number
_LONGEST_SECONDS = 30.0


class _Undisturbed:
    """How many parts are under way, since when, and the signals that came meanwhile."""

    lock = threading.Lock()
    depth = 0
    since = 0.0
    waiting: list[int] = []  # noqa: RUF012 - one per process, as there is one set of handlers
    caused_an_end = False


@contextmanager
def undisturbed() -> Iterator[None]:
    """Around what must be done whole (a teardown; a thing made and recorded): a signal takes effect after it.

    Only under `orderly_exit`; elsewhere signals do what they always do. What hangs can be ended after a while.
    """
    with _Undisturbed.lock:
        if not _Undisturbed.depth:
            _Undisturbed.since = time.monotonic()
        _Undisturbed.depth += 1
    try:
        yield
    finally:
        with _Undisturbed.lock:
            _Undisturbed.depth -= 1
            last = not _Undisturbed.depth
        if last and _Undisturbed.waiting:
            first = _Undisturbed.waiting[0]
            _Undisturbed.waiting.clear()
            signal.raise_signal(first)  # reaches the main thread, whichever thread was undisturbed


def raise_exception(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    """Handle a signal: SIGINT raises KeyboardInterrupt, any other SystemExit with 128 + its number."""
    _Undisturbed.waiting.append(number)  # before the look at the depth: a thread that is just through must see it
    if _Undisturbed.depth and time.monotonic() - _Undisturbed.since < _LONGEST_SECONDS:
        return
    _Undisturbed.waiting.clear()
    _Undisturbed.caused_an_end = True
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(SIGNALLED + number)


def caused_an_end() -> bool:
    """Tell whether a signal has ended this process, rather than the end of what it did."""
    return _Undisturbed.caused_an_end
