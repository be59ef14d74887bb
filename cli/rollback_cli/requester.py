"""The name under which the ledger records the operator who runs the command."""

import getpass
import socket


def requester_name() -> str:
    """Return `user@host`, cut to the length that a request may have."""
    from rollback.text import REQUESTER_LIMIT, one_line  # noqa: PLC0415 - pydantic takes a while to import

    return one_line(f"{getpass.getuser()}@{socket.gethostname()}", REQUESTER_LIMIT)
