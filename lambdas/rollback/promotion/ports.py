"""Ports that functions about promotion need."""

from typing import Protocol

from rollback.identity.ports import DefinitionPorts, IdentifyPorts, TargetCheckPorts
from rollback.ports.holders import (
    HasAlarms,
    HasClock,
    HasHttp,
    HasReadinessChecks,
    HasScaling,
    HasSettings,
    HasTargetGroups,
)


class AlarmReadinessPorts(HasAlarms, HasClock, HasSettings, HasTargetGroups, Protocol):
    """Ports to check that the alarms of a service would see an outage."""


class PreparationPorts(
    AlarmReadinessPorts, DefinitionPorts, TargetCheckPorts, HasReadinessChecks, HasScaling, Protocol
):
    """Ports to prepare the standing plan of a service."""


class RecordRunningPorts(DefinitionPorts, IdentifyPorts, HasTargetGroups, Protocol):
    """Ports to record the running release."""


class PromotionPorts(PreparationPorts, HasHttp, Protocol):
    """Ports to check a release while it bakes, and to promote it."""
