"""`rollback.*` events on EventBridge's default bus: emitted by the runner, and again by the engine if one was lost.

The runner emits an event after the save that enters a phase, with one short attempt. Our own rule brings the event
back to the function `report`, which proves that the bus has it. Delivering emits no event, so nothing can loop.
"""

from contextlib import suppress
from typing import Protocol

from rollback.delivery.event_detail import event_detail, present_key
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.delivery.phase import Phase, phase_of, phases_between
from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError
from rollback.names import event_type
from rollback.ports.holders import HasEvents, HasSettings
from rollback.ports.reporting import RollbackEvent


class EventPorts(HasEvents, HasSettings, Protocol):
    """Ports to emit events."""


class EventsChannel:
    """Channel that emits the event of the present phase again, if it never came back."""

    name: Channel = Channel.EVENTS

    def key(self, rollback: Rollback, ports: EventPorts) -> str | None:
        """Name the phase and the evaluation."""
        del ports
        return present_key(rollback)

    def send(self, rollback: Rollback, last: Delivery | None, ports: EventPorts) -> str:
        """Put the event; a reader recognises a copy by its `event_id`."""
        del last
        event = _event(rollback, phase_of(rollback), ports)
        ports.events.put((event,))
        return str(event.detail["event_id"])


def emit_phases(before: Rollback | None, after: Rollback, ports: EventPorts) -> Rollback | None:
    """Emit the events of the phases that a rollback entered, in one call. A failure is no reason to stop.

    Nothing is emitted for an emergency that has not changed ECS yet: the change must not wait for a call.

    Args:
        before: the document up to which events were emitted; None: there was none.
        after: the document that was saved last.
        ports: access to the bus.

    Returns:
        The document up to which events were emitted.
    """
    if after.is_test:  # the receivers of our events must not take it for a rollback
        return after
    is_urgent = after.is_emergency and not after.has_acted and after.outcome is None
    phases = () if is_urgent else phases_between(before, after)
    if not phases:
        return before if is_urgent else after
    with suppress(ExternalServiceError):
        ports.events.put(tuple(_event(after, phase, ports) for phase in phases))
    return after


def _event(rollback: Rollback, phase: Phase, ports: EventPorts) -> RollbackEvent:
    return RollbackEvent(event_type(phase), event_detail(rollback, phase, ports.settings.application))
