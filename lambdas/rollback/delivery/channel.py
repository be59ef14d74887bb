"""Protocol of a channel: a receiver of a rollback's state beside the SNS topics.

A new channel gets a member of `Channel` (`domain.delivery.delivery`) and a line in `delivery.channels`.
"""

from typing import Protocol

from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Rollback
from rollback.ports.all_ports import AllPorts


class DeliveryChannel(Protocol):
    """One channel. A class may name fewer ports than all, by a protocol of its own."""

    @property
    def name(self) -> Channel:
        """The channel's name in the ledger."""
        ...

    def key(self, rollback: Rollback, ports: AllPorts) -> str | None:
        """Return a short text that names the state which the channel should show now; None: nothing is to be sent.

        An equal key is not sent again. The function reads the document and the settings, and calls no service. A key
        has no time of its own, so that a repeated conclusion gives the same key.
        """
        ...

    def send(self, rollback: Rollback, last: Delivery | None, ports: AllPorts) -> str:
        """Send the present state once, with short timeouts, and return a reference: an issue's number, an object's key.

        Args:
            rollback: the document from which `key` was computed.
            last: the recorded delivery before this attempt. If its `attempts` is above 0, an earlier attempt may have
                arrived: look before creating anything. Its `reference` names what an earlier key created.
            ports: access to the ledger, secrets and receivers.

        Raises:
            CallRefused: the receiver refuses the message for good. It is repeated hourly for a day, then given up.
            ExternalServiceError: the outcome is unknown, or the receiver throttles. The attempt is repeated later.
        """
        ...
