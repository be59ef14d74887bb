"""Ports that the commands of an operator need."""

from typing import Protocol

from rollback.conclusion.ports import DischargePorts
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import (
    HasClock,
    HasImages,
    HasLedger,
    HasNeon,
    HasServices,
    HasSettingsOfRollback,
    HasSql,
    HasWorkflow,
)


class OperatorActionPorts(HasClock, HasLedger, Protocol):
    """Ports to record what an operator does."""


class AbortPorts(LeasePorts, HasWorkflow, Protocol):
    """Ports to end a rollback or to clear its lease."""


class CheckpointPorts(LeasePorts, HasNeon, HasServices, HasSql, Protocol):
    """Ports to record a restore point."""


class DeployCheckPorts(LeasePorts, HasImages, Protocol):
    """Ports to tell whether a deployment may begin."""


class UnfencePorts(DischargePorts, HasSettingsOfRollback, Protocol):
    """Ports to start services that a rollback left stopped."""
