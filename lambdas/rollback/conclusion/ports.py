"""Ports that functions about the conclusion need."""

from typing import Protocol

from rollback.database.ports import UnsettledChangePorts
from rollback.identity.ports import KnownReleasePorts
from rollback.ports.holders import (
    HasClock,
    HasLedger,
    HasMetrics,
    HasNeon,
    HasNotifications,
    HasReportStore,
    HasScaling,
    HasServices,
    HasSettings,
    HasStacks,
)


class SettingDischargePorts(HasClock, HasLedger, HasScaling, HasServices, Protocol):
    """Ports to put a recorded setting of a service back."""


class DischargePorts(SettingDischargePorts, HasNeon, HasSettings, Protocol):
    """Ports to discharge obligations about services and branches."""


class ReleaseStatePorts(HasClock, HasLedger, Protocol):
    """Ports to record the state of a release."""


class PreviousReleasePorts(ReleaseStatePorts, KnownReleasePorts, Protocol):
    """Ports to record the state of the release that a rollback left."""


class StayFencedPorts(PreviousReleasePorts, HasSettings, Protocol):
    """Ports to decide whether a service stays stopped."""


class ReportPorts(HasClock, HasLedger, HasNotifications, HasReportStore, HasSettings, Protocol):
    """Ports to send the report once."""


class ConclusionPorts(ReportPorts, UnsettledChangePorts, HasMetrics, HasScaling, HasServices, HasStacks, Protocol):
    """Ports to conclude a rollback."""
