"""Ports that functions about planning need."""

from typing import Protocol

from rollback.database.observation.ports import SchemaRecordPorts
from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.guards.ports import GuardPorts
from rollback.identity.ports import IdentifyPorts
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasScaling, HasStacks


class DecisionPorts(LeasePorts, Protocol):
    """Ports to decide whether a planned rollback goes on."""


class DatabasePlanPorts(BranchHistoryPorts, SchemaRecordPorts, HasScaling, Protocol):
    """Ports to plan the part of the database."""


class EmergencyPlanPorts(GuardPorts, HasStacks, Protocol):
    """Ports to plan an emergency."""


class PlanPorts(EmergencyPlanPorts, IdentifyPorts, HasScaling, Protocol):
    """Ports to plan any other rollback."""
