"""Signals that end a process: raised as exceptions in its main thread, and held back while a part must be finished."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL_EXIT_CODE_BASE = 128  # a shell's exit code for a process that a signal ended, less the signal's number
_MAX_DEFERRAL_SECONDS = 30.0


class _DeferredSignals:
    """The number of parts that must be finished, the start of the first, and the signals that came since."""

    lock = threading.Lock()
    depth = 0
    since = 0.0
    pending: list[int] = []  # noqa: RUF012 - one per process, as there is one set of handlers
    was_ended_by_signal = False


@contextmanager
def defer_signals() -> Iterator[None]:
    """Hold signals back until the block is finished: a teardown, or the start of a process and its record.

    A signal is raised at the end of the block, or at once if the block takes longer than 30 seconds. Without
    `orderly_exit` around it the block changes nothing.
    """
    with _DeferredSignals.lock:
        if not _DeferredSignals.depth:
            _DeferredSignals.since = time.monotonic()
        _DeferredSignals.depth += 1
    try:
        yield
    finally:
        with _DeferredSignals.lock:
            _DeferredSignals.depth -= 1
            last = not _DeferredSignals.depth
        if last and _DeferredSignals.pending:
            first = _DeferredSignals.pending[0]
            _DeferredSignals.pending.clear()
            signal.raise_signal(first)  # its handler runs in the main thread, whichever thread raises it


def raise_exception(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    """Handle a signal: SIGINT raises KeyboardInterrupt, any other SystemExit with 128 + its number."""
    _DeferredSignals.pending.append(number)  # before the depth is read: a thread that leaves its block now must see it
    if _DeferredSignals.depth and time.monotonic() - _DeferredSignals.since < _MAX_DEFERRAL_SECONDS:
        return
    _DeferredSignals.pending.clear()
    _DeferredSignals.was_ended_by_signal = True
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(SIGNAL_EXIT_CODE_BASE + number)


def was_ended_by_signal() -> bool:
    """Tell whether a signal has ended this process, rather than the end of what it did."""
    return _DeferredSignals.was_ended_by_signal
