"""Ports that functions about the recreation of a branch need."""

from typing import Protocol

from rollback.database.changes.ports import FencePorts
from rollback.ports.holders import HasClock, HasSecrets


class BranchSecretPorts(HasClock, HasSecrets, Protocol):
    """Ports to read and write the secret with the address of a branch."""


class RecreatePorts(FencePorts, BranchSecretPorts, Protocol):
    """Ports to recreate a branch."""
