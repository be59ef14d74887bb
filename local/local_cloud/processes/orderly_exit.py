"""Orderly exit: signals that end a process raise exceptions in its main thread, so that it can clean up.

Python does this for SIGINT alone (`KeyboardInterrupt`). SIGTERM (a supervisor, `kill`) and SIGHUP (a closed terminal)
would end the process at once, and leave its folders and children behind.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from local_cloud.processes import child_processes, owned_folders
from local_cloud.processes.signals import SIGNAL_EXIT_CODE_BASE, defer_signals, raise_exception, was_ended_by_signal

_TERMINATING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def orderly_exit() -> Iterator[None]:
    """Leave no folder and no child process behind, however the block ends. Enter it in the main thread.

    SIGTERM and SIGHUP raise SystemExit with code 128 + n in the main thread. SIGINT raises KeyboardInterrupt, which
    ends the process with 130 unless the block handles it. A signal that was ignored before (`nohup`) stays ignored.
    """
    previous_handlers = {number: signal.getsignal(number) for number in _TERMINATING_SIGNALS}
    for number, handler in previous_handlers.items():
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
        for number, handler in previous_handlers.items():
            # The cleanup is done, and the interpreter ends now: a late signal must not change the exit code.
            signal.signal(number, signal.SIG_IGN if was_ended_by_signal() else handler)
