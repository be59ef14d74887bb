"""Signals that end a process: raised as exceptions in its main thread, and held back while a part must be finished."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALLED = 128  # a shell's exit code for a process that a signal ended, less the signal's number
_LONGEST_SECONDS = 30.0


class _Undisturbed:
    """The number of parts that must be finished, the start of the first, and the signals that came since."""

    lock = threading.Lock()
    depth = 0
    since = 0.0
    waiting: list[int] = []  # noqa: RUF012 - one per process, as there is one set of handlers
    caused_an_end = False


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back until the block is finished: a teardown, or the start of a process and its record.

    A signal is raised at the end of the block, or at once if the block takes longer than 30 seconds. Without
    `orderly_exit` around it the block changes nothing.
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
            signal.raise_signal(first)  # its handler runs in the main thread, whichever thread raises it


def raise_exception(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    """Handle a signal: SIGINT raises KeyboardInterrupt, any other SystemExit with 128 + its number."""
    _Undisturbed.waiting.append(number)  # before the depth is read: a thread that leaves its block now must see it
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
