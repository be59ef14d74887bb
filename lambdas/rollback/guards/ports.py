"""Ports that functions about the guards need."""

from typing import Protocol

from rollback.ports.holders import HasAlarms, HasClock, HasLedger, HasServices, HasSettings, HasTargetGroups


class TrafficPorts(HasAlarms, HasClock, HasSettings, Protocol):
    """Ports to measure the traffic of a service."""


class OutagePorts(TrafficPorts, HasTargetGroups, Protocol):
    """Ports to see an outage of a service."""


class GuardPorts(OutagePorts, HasLedger, HasServices, Protocol):
    """Ports to judge whether an automatic rollback may act."""
