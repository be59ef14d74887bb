"""Ports that functions about planning need."""

from typing import Protocol

from rollback.database.observation.ports import SchemaRecordPorts
from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.guards.ports import GuardPorts
from rollback.identity.ports import DefinitionPorts, IdentifyPorts
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasImages, HasScaling, HasStacks
from rollback.service.ports import NewerReleasePorts


class ChangePorts(DefinitionPorts, HasScaling, Protocol):
    """Ports to read what a plan would change."""


class DecisionPorts(LeasePorts, ChangePorts, Protocol):
    """Ports to decide whether a planned rollback goes on."""


class PipelinePorts(NewerReleasePorts, DecisionPorts, Protocol):
    """Ports that the pipeline itself needs, whatever the recipe."""


class DatabasePlanPorts(BranchHistoryPorts, SchemaRecordPorts, HasScaling, Protocol):
    """Ports to plan the part of the database."""


class EmergencyPlanPorts(GuardPorts, HasImages, HasScaling, HasStacks, Protocol):
    """Ports to plan an emergency."""


class PlanPorts(EmergencyPlanPorts, IdentifyPorts, Protocol):
    """Ports to plan any other rollback."""
