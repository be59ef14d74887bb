"""The delivery engine: send a rollback's state once to each channel, and keep what could not be sent.

A delivery is written down as wanted before it is sent, so a process that dies leaves it due. One process sends at a
time, by a claim that expires. Nothing waits for a delivery, and none changes an outcome.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from rollback.delivery.channel import DeliveryChannel
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, Conflict, ExternalServiceError, UnreadableItem
from rollback.ports.all_ports import AllPorts

BUDGET = timedelta(seconds=20)  # for one call; Lambda ends the function `report` after 60 seconds
_MAX_ROUNDS = 5  # for one channel: each repeats a write that conflicted, or sends what became wanted meanwhile


def want_deliveries(rollback: Rollback, channels: Iterable[DeliveryChannel], ports: AllPorts) -> None:
    """Write down what each channel should show, before the document is saved that says so.

    A failure is no reason to stop: `deliver` writes the same after the save.

    Args:
        rollback: the document that is about to be saved.
        channels: channels that the rollback is delivered to.
        ports: access to the ledger.
    """
    if rollback.is_test:
        return
    for channel in channels:
        list(_attempt(channel, rollback, ports, partial(_write_wanted, channel, rollback, rollback.version + 1, ports)))


def deliver(
    rollback: Rollback, channels: Iterable[DeliveryChannel], ports: AllPorts, deadline: datetime | None = None
) -> list[str]:
    """Send the rollback's present state to each channel that shows another state, with one attempt each.

    Args:
        rollback: the document as it was read or saved last.
        channels: channels that the rollback is delivered to.
        ports: access to the ledger and the receivers.
        deadline: no channel is begun after it; the others stay due. None: 20 seconds from now.

    Returns:
        Each action, in one line. A failure is a line too; the janitor repeats the attempt.
    """
    if rollback.is_test:  # a test event reaches nobody
        return []
    end = deadline if deadline is not None else ports.clock.now() + BUDGET
    return [
        line
        for channel in channels
        for line in _attempt(channel, rollback, ports, partial(_deliver_before, end, channel, rollback, ports))
    ]


def acknowledge(rollback: Rollback, name: Channel, key: str, reference: str, ports: AllPorts) -> None:
    """Record that a channel shows a state, as its receiver proved; nothing is sent.

    Args:
        rollback: the document from which the state was computed, or a later one.
        name: the channel.
        key: key of the state.
        reference: reference of the proof, such as an event's id.
        ports: access to the ledger.
    """
    now = ports.clock.now()
    for _ in range(_MAX_ROUNDS):
        last = ports.ledger.delivery(rollback.id, name)
        delivery = last or _new_delivery(rollback, name)
        if delivery.delivered_key == key:
            return
        try:
            ports.ledger.put_delivery(delivery.mark_delivered(key, reference, now), last)
        except Conflict:
            continue
        return


def _attempt(
    channel: DeliveryChannel, rollback: Rollback, ports: AllPorts, action: Callable[[], Iterator[str]]
) -> Iterator[str]:
    """Run the work for one channel. Neither a failure nor a defect keeps the other channels from theirs."""
    try:
        yield from action()
    except UnreadableItem as unreadable:
        with suppress(ExternalServiceError):
            ports.ledger.record_unreadable(unreadable, ports.clock.now())
        yield f"{rollback.id}: the delivery to {channel.name} can't be read"
    except (Conflict, ExternalServiceError) as failure:  # the ledger keeps the delivery as due
        yield f"{rollback.id}: not delivered to {channel.name}: {failure}"
    except Exception as defect:  # noqa: BLE001 - a defect of one channel must not end the conclusion
        yield f"{rollback.id}: not delivered to {channel.name}: a defect, {type(defect).__name__}"


def _deliver_before(end: datetime, channel: DeliveryChannel, rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """Deliver, or leave the delivery due if the time is over: slow receivers delay the function by a bounded time."""
    if ports.clock.now() < end:
        yield from _deliver_to(channel, rollback, ports)
    else:
        yield from _write_wanted(channel, rollback, rollback.version, ports)


def _write_wanted(channel: DeliveryChannel, rollback: Rollback, version: int, ports: AllPorts) -> Iterator[str]:
    """Write down what a channel should show.

    Args:
        channel: the channel.
        rollback: the document from which its key is computed.
        version: version that the document has, or gets by the coming save.
        ports: access to the ledger.
    """
    key = channel.key(rollback, ports)
    if key is None:
        return
    for _ in range(_MAX_ROUNDS):
        last = ports.ledger.delivery(rollback.id, channel.name)
        delivery = last or _new_delivery(rollback, channel.name)
        wanting = delivery.want(key, version, ports.clock.now())
        if wanting == delivery:
            return
        try:
            ports.ledger.put_delivery(wanting, last)
        except Conflict:  # another process delivers: look again
            continue
        yield f"{rollback.id}: {channel.name} should show {key}"
        return


def _deliver_to(channel: DeliveryChannel, rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """Send until the channel shows the wanted state, which another process may change meanwhile."""
    key = channel.key(rollback, ports)
    if key is None:
        drop_delivery(channel.name, rollback.id, ports)
        return
    for _ in range(_MAX_ROUNDS):
        last = ports.ledger.delivery(rollback.id, channel.name)
        try:
            claimed = _claim(last or _new_delivery(rollback, channel.name), last, key, rollback, ports)
        except Conflict:  # another process delivers too: look again
            continue
        if claimed is None:
            return
        line, was_sent = _send(channel, rollback, last, claimed, ports)
        yield line
        if not was_sent:
            return


def drop_delivery(name: Channel, rollback_id: str, ports: AllPorts) -> None:
    """End a due delivery to a channel that the settings, or this version of the code, no longer have."""
    delivery = ports.ledger.delivery(rollback_id, name)
    if delivery is not None and delivery.is_due and not delivery.is_claimed(ports.clock.now()):
        _record(delivery, Delivery.give_up, ports)


def _claim(delivery: Delivery, last: Delivery | None, key: str, rollback: Rollback, ports: AllPorts) -> Delivery | None:
    """Write down the wanted key and claim the delivery. None: nothing is to be sent now, or another process sends."""
    now = ports.clock.now()
    wanting = delivery.want(key, rollback.version, now)
    if wanting.wanted_key != key:
        return None
    if not wanting.may_be_sent(now):
        if wanting != delivery:
            ports.ledger.put_delivery(wanting, last)
        return None
    claimed = wanting.claim(now)
    ports.ledger.put_delivery(claimed, last)
    return claimed


def _send(
    channel: DeliveryChannel, rollback: Rollback, last: Delivery | None, claimed: Delivery, ports: AllPorts
) -> tuple[str, bool]:
    """Send once and record the answer. Returns a line, and whether the receiver took the message."""
    key = claimed.wanted_key or ""
    try:
        reference = channel.send(rollback, last, ports)
    except ExternalServiceError as failure:
        is_refused, wait = isinstance(failure, CallRefused), getattr(failure, "retry_after_seconds", None) or 0.0
        return _record_failure(claimed, str(failure), rollback, ports, is_refused=is_refused, wait_seconds=wait)
    except Exception as defect:  # noqa: BLE001 - recorded like a refusal, so that an operator learns of it
        text = f"the channel {channel.name} has a defect: {type(defect).__name__}"
        return _record_failure(claimed, text, rollback, ports, is_refused=True)
    now = ports.clock.now()
    _record(claimed, lambda stored: stored.mark_delivered(key, reference, now), ports)
    return f"{rollback.id}: {channel.name} shows {key}", True


def _record_failure(
    claimed: Delivery,
    text: str,
    rollback: Rollback,
    ports: AllPorts,
    *,
    is_refused: bool,
    wait_seconds: float = 0.0,
) -> tuple[str, bool]:
    now, key = ports.clock.now(), claimed.wanted_key or ""
    recorded = _record(
        claimed,
        lambda stored: stored.mark_failed(key, text, now, is_refused=is_refused, wait_seconds=wait_seconds),
        ports,
    )
    if recorded.is_hopeless(now):
        _publish_given_up(recorded, rollback, ports)
        _record(recorded, Delivery.give_up, ports)
        return f"{rollback.id}: the delivery to {claimed.channel} is given up: {recorded.last_error}", False
    return f"{rollback.id}: not delivered to {claimed.channel}: {recorded.last_error}", False


def _record(delivery: Delivery, change: Callable[[Delivery], Delivery], ports: AllPorts) -> Delivery:
    """Save a change of the stored delivery, which another process may have changed meanwhile.

    Raises:
        Conflict: it was changed at every attempt; the claim expires, and the delivery stays due.
    """
    for _ in range(_MAX_ROUNDS):
        stored = ports.ledger.delivery(delivery.rollback_id, delivery.channel)
        changed = change(stored or delivery)
        try:
            ports.ledger.put_delivery(changed, stored)
        except Conflict:
            continue
        return changed
    raise Conflict(f"the delivery of {delivery.rollback_id} to {delivery.channel} changes all the time; it stays due")


def _publish_given_up(delivery: Delivery, rollback: Rollback, ports: AllPorts) -> None:
    """Say once that a channel does not show the rollback's end. Readers know a copy by its `report_id`."""
    failed_at = delivery.first_failed_at
    since = f"since {failed_at:%Y-%m-%d %H:%M} UTC" if failed_at is not None else "so far"
    text = (
        f"The state {delivery.wanted_key} of rollback {rollback.id} was not delivered to the channel "
        f"{delivery.channel}, and is not sent any more. Every attempt {since} failed. The last error: "
        f"{delivery.last_error}\nThe rollback itself is not affected.\nNext:\n"
        f"  rollback show {rollback.environment} {rollback.id}"
    )
    subject = f"[{rollback.environment}] {rollback.id} was not delivered to {delivery.channel}"
    attributes = {
        "report_id": f"{rollback.id}:{delivery.channel}:given-up",
        "environment": rollback.environment,
        "severity": "info",
    }
    ports.notifications.publish(subject, text, attributes)


def _new_delivery(rollback: Rollback, name: Channel) -> Delivery:
    return Delivery(rollback_id=rollback.id, channel=name, expires_at=_expiry_of(rollback))


def _expiry_of(rollback: Rollback) -> datetime:
    policy = rollback.settings.policy if rollback.settings is not None else Policy()
    return rollback.began_at + timedelta(days=policy.record_days)
