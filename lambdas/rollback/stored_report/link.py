"""The one link to a rollback's written account that every message uses.

Who has the link reads the account without credentials, for an hour at most. So it stands only in messages that a person
reads at once: mails and chat. Events, statuses and issues, which are kept or passed on, name the command (decision 43).
"""

from typing import Protocol

from rollback.domain.rollback import Rollback
from rollback.errors import RollbackError
from rollback.ports.holders import HasReportStore
from rollback.reports.commands import report_command


class LinkPorts(HasReportStore, Protocol):
    """Ports to link the account."""


def report_key(rollback: Rollback, suffix: str) -> str:
    """Return the key of a stored form of the account: `html`, `json` or `md`."""
    return f"{rollback.environment}/{rollback.service_name}/{rollback.id}/report.{suffix}"


def report_link(rollback: Rollback, ports: LinkPorts) -> str:
    """Return a link to the stored account, which works for an hour at most. Without a store, return the command."""
    return report_url(rollback, ports) or report_command(rollback)


def report_url(rollback: Rollback, ports: LinkPorts) -> str:
    """Return a link to the stored account; empty: none is stored.

    The link is signed without a call, so that no message waits. It answers 403 until the account is stored.
    """
    if rollback.outcome is None or not ports.report_store.is_available():
        return ""
    try:
        return ports.report_store.link(report_key(rollback, "html"))
    except RollbackError:
        return ""
