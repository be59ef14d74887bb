"""Ports that functions about reconnection need."""

from typing import Protocol

from rollback.conclusion.ports import DischargePorts
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasNeon, HasServices, HasSql, HasTasks
from rollback.service.ports import NewerReleasePorts, TaskPorts


class CommandPorts(LeasePorts, TaskPorts, Protocol):
    """Ports to run a command of a service once."""


class ProofPorts(CommandPorts, HasNeon, HasServices, HasSql, Protocol):
    """Ports to prove that a service is connected to its branch."""


class ReconnectionPorts(DischargePorts, NewerReleasePorts, HasSql, HasTasks, Protocol):
    """Ports to reconnect services to a branch."""
