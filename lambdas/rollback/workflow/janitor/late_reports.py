"""Send what was not sent yet: reports, pages about unreadable items, pages that were only counted."""

from collections.abc import Iterator
from contextlib import suppress

from rollback.conclusion.send_report import send_report_once
from rollback.domain.ledger import page_count
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict, ExternalServiceError
from rollback.ports.world import World

_MOST_LISTED = 20  # unreadable items in one page


def send_late_report(rollback: Rollback, world: World) -> Iterator[str]:
    """Send the report of a concluded rollback that sent none; after a failure the next sweep tries again."""
    with suppress(Conflict, ExternalServiceError):
        world.ledger.save(send_report_once(rollback, world))
        yield f"{rollback.id}: report sent late"


def page_unreadable_items(world: World) -> Iterator[str]:
    """Page an operator once about items that can't be read: one page a sweep, however many items there are."""
    environment = world.settings.environment
    unreported = [item for item in world.ledger.unreadable() if not item.is_reported]
    if not unreported:
        return
    listed = "\n".join(f"  {item.key}: {item.why}" for item in unreported[:_MOST_LISTED])
    more = f"\n  and {len(unreported) - _MOST_LISTED} more" if len(unreported) > _MOST_LISTED else ""
    subject = f"[{environment}] {len(unreported)} items of the rollback ledger can't be read"
    text = (
        f"These items of the ledger can't be read. They were not changed, and all other work continues:\n{listed}"
        f"{more}\nA rollback among them may have settings to put back. Next:\n  rollback status {environment}\n"
        f"  rollback unfence {environment} --service SERVICE --reason '…'"
    )
    page = {"severity": "page", "environment": environment, "report_id": f"unreadable:{unreported[0].key}"[:250]}
    world.notifications.publish(subject, text, page)
    for item in unreported:
        world.ledger.mark_reported(item)
    yield f"{len(unreported)} items can't be read: paged"


def page_counted_pages(world: World) -> Iterator[str]:
    """Send one page for those that were only counted, once the window of the last page is over."""
    now, minutes = world.clock.now(), world.settings.policy.page_aggregation_minutes
    for count in world.ledger.page_counts():
        if not count.is_due(now, minutes):
            continue
        subject, text = page_count.in_words(count, world.settings.environment)
        report_id = f"{count.last_rollback_id}:counted-{count.total}"
        page = {"severity": "page", "environment": world.settings.environment, "report_id": report_id}
        world.notifications.publish(subject, text, page)
        with suppress(Conflict):  # one more was counted meanwhile: the next sweep reports it
            world.ledger.put_page_count(count.mark_sent(now), count)
        yield f"{count.service}: {count.unreported} more pages sent as one"
