"""Ports that functions about the preflight checks of a branch need."""

from typing import Protocol

from rollback.leases.ports import LeaseReadPorts
from rollback.ports.holders import HasSettings


class BranchHistoryPorts(LeaseReadPorts, HasSettings, Protocol):
    """Ports to read the history of a branch."""
