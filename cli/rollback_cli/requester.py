"""The name under which the ledger records the operator who runs the command."""

import getpass
import socket


from rollback_cli.github_actions.actor import actions_requester


def requester_name() -> str:
    """Return `user@host`, in GitHub Actions the person and the run, cut to the length that a request may have."""
    from rollback.text import REQUESTER_LIMIT, one_line  # noqa: PLC0415 - pydantic takes a while to import

    name = actions_requester() or f"{getpass.getuser()}@{socket.gethostname()}"
    return one_line(name, REQUESTER_LIMIT)
