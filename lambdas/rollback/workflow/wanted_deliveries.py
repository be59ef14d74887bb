"""Deliveries of a state that Plan or Conclude is about to save."""

from rollback.delivery.channels import CHANNELS
from rollback.delivery.deliver import want_deliveries
from rollback.domain.rollback import Rollback
from rollback.ports.all_ports import AllPorts


def want_on_all_channels(rollback: Rollback, ports: AllPorts) -> None:
    """Write down what each channel should show (`delivery.deliver.want_deliveries`)."""
    want_deliveries(rollback, CHANNELS, ports)
