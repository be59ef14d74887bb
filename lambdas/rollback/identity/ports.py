"""Ports that functions about the identity of releases need."""

from typing import Protocol

from rollback.ports.holders import (
    HasAccountAndRegion,
    HasClock,
    HasImages,
    HasLedger,
    HasReferences,
    HasSecrets,
    HasServices,
    HasSettings,
    HasTargetGroups,
)


class KnownReleasePorts(HasLedger, HasServices, Protocol):
    """Ports to find the release that a service runs among the known releases."""


class IdentifyPorts(KnownReleasePorts, HasImages, Protocol):
    """Ports to identify a release that the ledger does not know."""


class StandingPlanPorts(HasClock, HasLedger, Protocol):
    """Ports to read the standing plan of a service."""


class DefinitionPorts(StandingPlanPorts, HasServices, HasSettings, Protocol):
    """Ports to find or register the task definition of a release."""


class ReferenceCheckPorts(HasAccountAndRegion, HasReferences, HasSecrets, Protocol):
    """Ports to check that the resources exist that a task definition refers to."""


class TargetCheckPorts(ReferenceCheckPorts, HasImages, HasServices, HasTargetGroups, Protocol):
    """Ports to check that ECS can start a target."""
