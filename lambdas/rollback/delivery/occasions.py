"""The occasions of a delivery: the end of the conclusion, and the return of one of our own events."""

from typing import Any

from rollback.delivery.channels import CHANNELS_WITHOUT_EVENTS
from rollback.delivery.deliver import acknowledge, deliver
from rollback.delivery.event_detail import present_key
from rollback.domain.delivery.delivery import Channel
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import ExternalServiceError, UnreadableItem
from rollback.ports.all_ports import AllPorts
from rollback.text import quoted


def deliver_after_conclusion(rollback_id: str, ports: AllPorts) -> list[str]:
    """Deliver a rollback that Conclude has concluded. No failure reaches the execution.

    A round before the conclusion delivers nothing: a slow receiver must not delay the round that lifts a fence.
    """
    try:
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
    except (ExternalServiceError, KeyError, UnreadableItem) as failure:
        return [f"{rollback_id}: not delivered: {failure}"]
    if rollback.concluded_at is None:
        return []
    return deliver(rollback, CHANNELS_WITHOUT_EVENTS, ports.with_short_timeouts())


def deliver_on_event(event: dict[str, Any], ports: AllPorts) -> list[str]:
    """Deliver the rollback that one of our own events is about. Nothing is emitted, so no event follows.

    Args:
        event: the event as EventBridge delivers it. Only the rollback's id is read; the ledger says everything else.
        ports: access to the ledger and the receivers.

    Raises:
        ExternalServiceError: the ledger did not answer; Lambda tries the event again.
    """
    detail = event.get("detail")
    rollback_id = detail.get("rollback_id") if isinstance(detail, dict) else None
    rollback = _find(rollback_id, ports) if isinstance(rollback_id, str) else None
    if rollback is None or not isinstance(detail, dict):
        return [f"no rollback {quoted(rollback_id)} is in the ledger; nothing was delivered"]
    key = present_key(rollback)
    if detail.get("event_id") == f"{rollback.id}:{key}":
        acknowledge(rollback, Channel.EVENTS, key, str(event.get("id", "")), ports)
    return deliver(rollback, CHANNELS_WITHOUT_EVENTS, ports.with_short_timeouts())


def _find(rollback_id: str, ports: AllPorts) -> Rollback | None:
    try:
        return ports.ledger.read(service_of(rollback_id), rollback_id)
    except KeyError:
        return None
    except UnreadableItem as unreadable:
        ports.ledger.record_unreadable(unreadable, ports.clock.now())
        return None
