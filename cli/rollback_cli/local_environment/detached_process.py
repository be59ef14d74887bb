"""A process that outlives the command which started it, on purpose: `rollback local down` ends it."""

import subprocess
from collections.abc import Sequence
from typing import IO


def start_detached(command: Sequence[str], output: IO[str]) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own.

    Args:
        command: program and its arguments.
        output: file that gets its standard output and standard error.
    """
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
