"""The operator who runs the command: the name for the ledger, and whether a person waits at a terminal."""

import getpass
import socket
import sys

from rollback.text import REQUESTER_LIMIT, one_line


def requester_name() -> str:
    """Return `user@host`, cut to the length that a request may have."""
    return one_line(f"{getpass.getuser()}@{socket.gethostname()}", REQUESTER_LIMIT)


def is_at_terminal() -> bool:
    """Return whether input and output are a terminal, so that a person reads the result; a pipeline's are not."""
    return sys.stdin.isatty() and sys.stdout.isatty()
