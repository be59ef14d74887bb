"""The operator who runs the command: the name for the ledger, and whether a person waits at a terminal."""

import getpass
import socket
import sys

from rollback_cli.github_actions.actor import actions_requester


def requester_name() -> str:
    """Return `user@host`, in GitHub Actions the person and the run, cut to the length that a request may have."""
    from rollback.text import REQUESTER_LIMIT, one_line  # noqa: PLC0415 - pydantic takes a while to import

    name = actions_requester() or f"{getpass.getuser()}@{socket.gethostname()}"
    return one_line(name, REQUESTER_LIMIT)


def is_at_terminal() -> bool:
    """Return whether input and output are a terminal, so that a person reads the result; a pipeline's are not."""
    return sys.stdin.isatty() and sys.stdout.isatty()
