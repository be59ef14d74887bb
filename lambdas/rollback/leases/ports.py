"""Ports that functions about leases need."""

from typing import Protocol

from rollback.ports.holders import HasClock, HasLedger, HasSettings, HasWorkflow


class LeaseReadPorts(HasClock, HasLedger, Protocol):
    """Ports to read a lease and the rollback that holds it."""


class LeasePorts(LeaseReadPorts, HasSettings, Protocol):
    """Ports to take, hold and release leases."""


class LeaseLivenessPorts(LeaseReadPorts, HasWorkflow, Protocol):
    """Ports to tell whether the execution behind a lease still runs."""
