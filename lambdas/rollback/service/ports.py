"""Ports that functions about the change of a service need."""

from typing import Protocol

from rollback.identity.ports import StandingPlanPorts
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import (
    HasClock,
    HasImages,
    HasScaling,
    HasServices,
    HasSettings,
    HasStacks,
    HasTargetGroups,
    HasTasks,
)
from rollback.schema.ports import SchemaVerdictPorts


class ServiceReadPorts(HasServices, HasSettings, Protocol):
    """Ports to read a service."""


class DrainPorts(HasScaling, HasServices, Protocol):
    """Ports to see whether a service is stopped and stays stopped."""


class NextTargetPorts(StandingPlanPorts, HasSettings, Protocol):
    """Ports to choose the next target after a target failed."""


class EscalationPorts(NextTargetPorts, ServiceReadPorts, HasTargetGroups, Protocol):
    """Ports to judge the health of a service, and to move on to the next target."""


class ServiceChangePorts(LeasePorts, DrainPorts, Protocol):
    """Ports to change a service under its lease."""


class NewerReleasePorts(StandingPlanPorts, ServiceReadPorts, HasStacks, Protocol):
    """Ports to see that the team deployed a newer release."""


class SubstituteTargetPorts(SchemaVerdictPorts, HasImages, Protocol):
    """Ports to choose a substitute for a target that ECS can't start."""


class TaskPorts(HasClock, HasTasks, Protocol):
    """Ports to run a one-off task."""


class ServicePorts(EscalationPorts, NewerReleasePorts, HasScaling, Protocol):
    """Ports to move a service to its target."""
