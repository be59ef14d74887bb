"""Terminating signals: they raise exceptions in the main thread, and wait while a block must finish."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL_EXIT_CODE_BASE = 128  # a shell's exit code after a signal is this plus the signal's number
_MAX_DEFERRAL_SECONDS = 30.0


class _DeferredSignals:
    """Number of blocks that must finish, start of the first, and signals since then."""

    lock = threading.Lock()
    depth = 0
    since = 0.0
    pending: list[int] = []  # noqa: RUF012 - one per process, as there is one set of handlers
    was_ended_by_signal = False


@contextmanager
def defer_signals() -> Iterator[None]:
    """Hold signals back until the block ends: a teardown, or the start of a process and its record.

    A signal is raised at the end of the block, or at once if the block has run for 30 seconds. Outside `orderly_exit`
    this has no effect.
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
            signal.raise_signal(first)  # the handler runs in the main thread, whichever thread raises the signal


def raise_exception(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    """Handle a signal: SIGINT raises KeyboardInterrupt, any other SystemExit with 128 + its number."""
    _DeferredSignals.pending.append(number)  # before the depth is read, so a thread that leaves its block now sees it
    if _DeferredSignals.depth and time.monotonic() - _DeferredSignals.since < _MAX_DEFERRAL_SECONDS:
        return
    _DeferredSignals.pending.clear()
    _DeferredSignals.was_ended_by_signal = True
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(SIGNAL_EXIT_CODE_BASE + number)


def was_ended_by_signal() -> bool:
    """Whether a signal has ended the work of this process."""
    return _DeferredSignals.was_ended_by_signal
