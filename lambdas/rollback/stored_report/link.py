"""The one link to a rollback's written account that every message uses."""

import shlex
from typing import Protocol

from rollback.domain.rollback import Rollback
from rollback.errors import RollbackError
from rollback.ports.holders import HasReportStore


class LinkPorts(HasReportStore, Protocol):
    """Ports to link the account."""


def report_key(rollback: Rollback, suffix: str) -> str:
    """Return the key of a stored form of the account: `html`, `json` or `md`."""
    return f"{rollback.environment}/{rollback.service_name}/{rollback.id}/report.{suffix}"


def report_command(rollback: Rollback) -> str:
    """Return the command that shows the account."""
    return shlex.join(("rollback", "report", rollback.environment, rollback.id))


def report_link(rollback: Rollback, ports: LinkPorts) -> str:
    """Return a link to the stored account, which works for an hour at most. Without a store, return the command.

    The link is signed without a call, so that no message waits. It answers 403 until the account is stored.
    """
    if rollback.outcome is None or not ports.report_store.is_available():
        return report_command(rollback)
    try:
        return ports.report_store.link(report_key(rollback, "html"))
    except RollbackError:
        return report_command(rollback)
