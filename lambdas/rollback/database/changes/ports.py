"""Ports that functions about the engine of database changes need."""

from typing import Protocol

from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock, HasScaling, HasServices, HasSettings


class WaitPorts(HasClock, HasSettings, Protocol):
    """Ports to wait, and to give up at a time limit."""


class FencePorts(LeasePorts, HasScaling, HasServices, Protocol):
    """Ports to stop the writers of a branch; the engine needs no more."""
