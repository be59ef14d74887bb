"""Signals that end a process become exceptions of its main thread, so that whatever it started and made is ended.

Python does so with SIGINT alone (`KeyboardInterrupt`). SIGTERM (a supervisor, `kill`) and SIGHUP (the terminal was
closed) would end the process where it stands, with its folders and its children left behind.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from local_cloud import child_processes, owned_folders

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALLED = 128  # a shell's exit code for a process that a signal ended, less the signal's number
_LONGEST_TEARDOWN_SECONDS = 30.0


class _Teardown:
    """How many are under way, since when and why, and the signals that came meanwhile."""

    depth = 0
    since = 0.0
    caused = False  # by a signal
    waiting: list[int] = []  # noqa: RUF012 - one per process, as there is one set of handlers


@contextmanager
def orderly_exit() -> Iterator[None]:
    """Around all that a command does: however it ends, no folder and no child process of its own is left.

    SIGTERM and SIGHUP raise SystemExit with code 128 + n in the main thread, SIGINT raises KeyboardInterrupt and ends
    with 130 unless the command handles it. A signal that is ignored already (`nohup`) stays ignored. To be entered in
    the main thread.
    """
    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise)
    try:
        try:
            yield
        finally:
            with undisturbed():
                child_processes.end_all()
                owned_folders.remove_all()
    except KeyboardInterrupt:
        raise SystemExit(_SIGNALLED + signal.SIGINT) from None
    finally:
        for number, handler in before.items():
            # All is removed, and the interpreter is about to end: a late signal must not change the exit code.
            signal.signal(number, signal.SIG_IGN if _Teardown.caused else handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Around a teardown: a signal that comes meanwhile takes effect when the teardown is through.

    Only under `orderly_exit`; elsewhere signals do what they always do. One that hangs can be ended after a while.
    """
    if not _Teardown.depth:
        _Teardown.since = time.monotonic()
    _Teardown.depth += 1
    try:
        yield
    finally:
        _Teardown.depth -= 1
        if not _Teardown.depth and _Teardown.waiting:
            first = _Teardown.waiting[0]
            _Teardown.waiting.clear()
            signal.raise_signal(first)  # reaches the main thread, whichever thread tore down


def _raise(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    if _Teardown.depth and time.monotonic() - _Teardown.since < _LONGEST_TEARDOWN_SECONDS:
        _Teardown.waiting.append(number)
        return
    _Teardown.caused = True
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(_SIGNALLED + number)
