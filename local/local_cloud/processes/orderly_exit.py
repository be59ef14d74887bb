"""Signals that end a process become exceptions of its main thread, so that whatever it started and made is ended.

Python does so with SIGINT alone (`KeyboardInterrupt`). SIGTERM (a supervisor, `kill`) and SIGHUP (the terminal was
closed) would end the process where it stands, with its folders and its children left behind.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from local_cloud.processes import child_processes, owned_folders
from local_cloud.processes.signals import SIGNAL_EXIT_CODE_BASE, defer_signals, raise_exception, was_ended_by_signal

_TERMINATING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def orderly_exit() -> Iterator[None]:
    """Around all that a command does: however it ends, no folder and no child process of its own is left.

    SIGTERM and SIGHUP raise SystemExit with code 128 + n in the main thread, SIGINT raises KeyboardInterrupt and ends
    with 130 unless the command handles it. A signal that is ignored already (`nohup`) stays ignored. To be entered in
    the main thread.
    """
    before = {number: signal.getsignal(number) for number in _TERMINATING_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, raise_exception)
    try:
        try:
            yield
        finally:
            with defer_signals():
                child_processes.end_all()
                owned_folders.remove_all()
    except KeyboardInterrupt:
        raise SystemExit(SIGNAL_EXIT_CODE_BASE + signal.SIGINT) from None
    finally:
        for number, handler in before.items():
            # All is removed, and the interpreter is about to end: a late signal must not change the exit code.
            signal.signal(number, signal.SIG_IGN if was_ended_by_signal() else handler)
