"""Send deliveries that are due, the newest first, and count those that are late."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from rollback.delivery.channels import CHANNELS
from rollback.delivery.deliver import deliver, drop_delivery
from rollback.domain.delivery.delivery import Delivery
from rollback.leases.holder import find_rollback
from rollback.ports.all_ports import AllPorts

_GRACE = timedelta(minutes=1)  # the process that wrote it down may still be sending
LATE = timedelta(minutes=15)
_MAX_SENT = 20  # attempts of one sweep
_MAX_TIME = timedelta(seconds=20)  # for one sweep; Lambda ends the function after 60
_MAX_COUNTED = 1_000


def send_late_deliveries(ports: AllPorts) -> Iterator[str]:
    """Attempt some due deliveries, and record how many are late; the next sweep attempts the others."""
    ports = ports.with_short_timeouts()
    deadline = ports.clock.now() + _MAX_TIME
    due = list(islice(ports.ledger.due_deliveries(), _MAX_COUNTED))
    ports.metrics.record_deliveries(late=sum(is_late(delivery, ports) for delivery in due))
    attempts = 0
    for delivery in due:
        now = ports.clock.now()
        if attempts >= _MAX_SENT or now >= deadline:
            return
        is_young = delivery.due_since is not None and now - delivery.due_since < _GRACE
        if is_young or not delivery.may_be_sent(now):
            continue
        attempts += 1
        yield from _send_late(delivery, deadline, ports)


def is_late(delivery: Delivery, ports: AllPorts) -> bool:
    """Whether a delivery has been due for longer than some sweeps take."""
    return delivery.due_since is not None and ports.clock.now() - delivery.due_since >= LATE


def count_late_deliveries(ports: AllPorts) -> int:
    """Count the late deliveries of all services, up to 1,000."""
    return sum(is_late(delivery, ports) for delivery in islice(ports.ledger.due_deliveries(), _MAX_COUNTED))


def _send_late(delivery: Delivery, deadline: datetime, ports: AllPorts) -> Iterator[str]:
    channels = [channel for channel in CHANNELS if channel.name is delivery.channel]
    rollback = find_rollback(delivery.rollback_id, ports) if channels else None
    if rollback is None:  # the channel left the code, or the rollback left the ledger
        drop_delivery(delivery.channel, delivery.rollback_id, ports)
        yield f"{delivery.rollback_id}: its delivery to {delivery.channel} was dropped"
        return
    yield from deliver(rollback, channels, ports, deadline)
