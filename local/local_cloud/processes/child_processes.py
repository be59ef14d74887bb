"""Child processes of the embedded cloud: none outlives it, however it ends.

Each leads a session of its own: Ctrl-C and the end of a terminal reach us alone, and we end the child with all that it
started. A server ends by itself when its standard input closes: the operating system closes it when we are killed.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from local_cloud.processes.signals import defer_signals

_GRACE_SECONDS = 5.0
_running: set["subprocess.Popen[str]"] = set()
_lock = threading.Lock()


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """Start a server, or whatever runs for as long as it is wanted; it must end when its standard input does.

    Args:
        options: as `subprocess.Popen` takes them.
    """
    return _start(command, stdin=subprocess.PIPE, **options)


def run(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. If we are told to end meanwhile, the program and all that it started end first.

    Args:
        options: as `subprocess.Popen` takes them.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = _start(command, **pipes, **options)
    try:
        output, errors = process.communicate()
    except BaseException:
        _end([process])
        raise
    finally:
        with _lock:
            _running.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def end(process: "subprocess.Popen[str]") -> None:
    """End one, with all that it started: asked first, killed after a few seconds."""
    with _lock:
        _running.discard(process)
    _end([process])
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def end_all() -> None:
    """End whatever still runs: asked first, killed after a few seconds."""
    with _lock:
        processes = list(_running)
        _running.clear()
    _end(processes)


def _start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    with defer_signals(), _lock:  # a signal or `end_all` finds the process recorded
        process = subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **options)
        _running.difference_update([known for known in _running if known.returncode is not None])
        _running.add(process)
    return process


def _end(processes: Sequence["subprocess.Popen[str]"]) -> None:
    living = [process for process in processes if process.poll() is None]  # the id of another may be anybody's by now
    for process in living:
        if process.stdin is None:
            _signal(process, signal.SIGTERM)
        else:
            with contextlib.suppress(OSError):
                process.stdin.close()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in living:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)  # what it started may live on
        process.wait()


def _signal(process: "subprocess.Popen[str]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


atexit.register(end_all)
