"""Ports that functions about the data-loss analysis need."""

from typing import Protocol

from rollback.ports.holders import HasClock, HasNeon, HasNotifications, HasReportStore, HasSettings, HasSql


class CleanupPorts(HasNeon, HasSettings, Protocol):
    """Ports to delete the resources of a comparison."""


class ComparisonPorts(CleanupPorts, HasClock, HasSql, Protocol):
    """Ports to compare two branches."""


class DataLossReportPorts(CleanupPorts, HasClock, HasNotifications, HasReportStore, Protocol):
    """Ports to report data loss."""
