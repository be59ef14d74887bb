"""The name under which the ledger records the operator who runs the command."""

import getpass
import socket

from rollback.text import REQUESTER_LIMIT, one_line


def requester_name() -> str:
    """Return `user@host`, cut to the length that a request may have."""
    return one_line(f"{getpass.getuser()}@{socket.gethostname()}", REQUESTER_LIMIT)
