"""Send reports that were not sent, pages about unreadable items, and pages that were only counted."""

from collections.abc import Iterator
from contextlib import suppress

from rollback.conclusion.send_report import send_report_once
from rollback.domain.ledger import page_count
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict, ExternalServiceError
from rollback.ports.all_ports import AllPorts

_MAX_LISTED = 20  # unreadable items in one page


def send_late_report(rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """Send the report of a concluded rollback that sent none; after a failure the next sweep tries again."""
    with suppress(Conflict, ExternalServiceError):
        ports.ledger.save(send_report_once(rollback, ports))
        yield f"{rollback.id}: report sent late"


def page_unreadable_items(ports: AllPorts) -> Iterator[str]:
    """Page an operator once about items that can't be read: one page a sweep, however many items there are."""
    environment = ports.settings.environment
    unreported = [item for item in ports.ledger.unreadable() if not item.is_reported]
    if not unreported:
        return
    lines = "\n".join(f"  {item.key}: {item.why}" for item in unreported[:_MAX_LISTED])
    more = f"\n  and {len(unreported) - _MAX_LISTED} more" if len(unreported) > _MAX_LISTED else ""
    subject = f"[{environment}] {len(unreported)} items of the rollback ledger can't be read"
    text = (
        f"These items of the ledger can't be read. They were not changed, and all other work continues:\n{lines}"
        f"{more}\nA rollback among these items may have settings to restore. Next:\n  rollback status {environment}\n"
        f"  rollback unfence {environment} --service SERVICE --reason '…'"
    )
    page = {"severity": "page", "environment": environment, "report_id": f"unreadable:{unreported[0].key}"[:250]}
    ports.notifications.publish(subject, text, page)
    for item in unreported:
        ports.ledger.mark_reported(item)
    yield f"{len(unreported)} items can't be read: paged"


def page_counted_pages(ports: AllPorts) -> Iterator[str]:
    """Send one page for those that were only counted, once the window of the last page is over."""
    now, minutes = ports.clock.now(), ports.settings.policy.page_aggregation_minutes
    for count in ports.ledger.page_counts():
        if not count.is_due(now, minutes):
            continue
        subject, text = page_count.in_words(count, ports.settings.environment)
        report_id = f"{count.last_rollback_id}:counted-{count.total}"
        page = {"severity": "page", "environment": ports.settings.environment, "report_id": report_id}
        ports.notifications.publish(subject, text, page)
        with suppress(Conflict):  # another page was counted at the same time: the next sweep sends it
            ports.ledger.put_page_count(count.mark_sent(now), count)
        yield f"{count.service}: {count.unreported} more pages sent as one"
