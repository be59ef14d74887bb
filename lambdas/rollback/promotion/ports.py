"""Ports that functions about promotion need."""

from typing import Protocol

from rollback.guards.ports import TrafficPorts
from rollback.identity.ports import DefinitionPorts, IdentifyPorts, TargetCheckPorts
from rollback.ports.holders import (
    HasAccountAndRegion,
    HasAlarms,
    HasClock,
    HasDatabaseChecks,
    HasHttp,
    HasImages,
    HasLedger,
    HasReadinessChecks,
    HasScaling,
    HasServices,
    HasSettings,
    HasTargetGroups,
)


class AlarmReadinessPorts(HasAlarms, HasClock, HasSettings, HasTargetGroups, Protocol):
    """Ports to check that the alarms of a service would see an outage."""


class ImageProtectionPorts(HasAccountAndRegion, HasImages, HasSettings, Protocol):
    """Ports to protect the images of a release from expiry."""


class PreparationPorts(
    AlarmReadinessPorts,
    ImageProtectionPorts,
    DefinitionPorts,
    TargetCheckPorts,
    HasReadinessChecks,
    HasScaling,
    Protocol,
):
    """Ports to prepare the standing plan of a service."""


class RecordRunningPorts(DefinitionPorts, IdentifyPorts, HasTargetGroups, Protocol):
    """Ports to record the running release."""


class BaselinePorts(TrafficPorts, HasLedger, HasServices, Protocol):
    """Ports to record the error lines of a good release."""


class PromotionPorts(PreparationPorts, HasDatabaseChecks, HasHttp, Protocol):
    """Ports to check a release while it bakes, and to promote it."""
