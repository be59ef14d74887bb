"""Child processes of the embedded cloud. None outlives it, however it ends.

Each child leads a session of its own. So Ctrl-C and a closed terminal reach this process alone, which ends the child
and its descendants. A server ends by itself when its standard input closes. The operating system closes that when this
process is killed.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

from local_cloud.processes.signals import defer_signals

_GRACE_SECONDS = 5.0
_running: set["subprocess.Popen[str]"] = set()
_lock = threading.Lock()


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """Start a server, which must end when its standard input closes.

    Args:
        command: program and arguments.
        options: those of `subprocess.Popen`.
    """
    return _start(command, stdin=subprocess.PIPE, **options)


def run(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. If an exception interrupts this, the program and its descendants end first.

    Args:
        command: program and arguments.
        options: those of `subprocess.Popen`.
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


def output_of(process: "subprocess.Popen[str]") -> IO[str]:
    """Return the pipe that a server writes its output to.

    Raises:
        RuntimeError: the server was started without such a pipe.
    """
    if process.stdout is None:
        raise RuntimeError(f"process {process.pid} has no pipe for its output: start it with `stdout=subprocess.PIPE`")
    return process.stdout


def end(process: "subprocess.Popen[str]") -> None:
    """End a process and its descendants: ask first, and kill after five seconds."""
    with _lock:
        _running.discard(process)
    _end([process])
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def end_all() -> None:
    """End every running child and its descendants: ask first, and kill after five seconds."""
    with _lock:
        processes = list(_running)
        _running.clear()
    _end(processes)


def _start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    with defer_signals(), _lock:  # the process is recorded before a signal or `end_all` comes
        process = subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **options)
        _running.difference_update([other for other in _running if other.returncode is not None])
        _running.add(process)
    return process


def _end(processes: Sequence["subprocess.Popen[str]"]) -> None:
    living = [
        process for process in processes if process.poll() is None
    ]  # an ended process's id may belong to another one
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
        _signal(process, signal.SIGKILL)  # descendants may still run
        process.wait()


def _signal(process: "subprocess.Popen[str]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


atexit.register(end_all)
