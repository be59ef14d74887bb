"""Ports that the kinds of checks need."""

from typing import Protocol

from rollback.guards.ports import OutagePorts
from rollback.ports.holders import (
    HasClock,
    HasDatabaseChecks,
    HasHttp,
    HasLedger,
    HasNeon,
    HasServices,
    HasSettings,
    HasSql,
)
from rollback.service.ports import TaskPorts


class ConnectionCheckPorts(HasHttp, HasSettings, Protocol):
    """Ports to ask the endpoints of a service."""


class DatabaseCheckPorts(HasDatabaseChecks, HasSettings, Protocol):
    """Ports to have the database checked."""


class SqlCheckPorts(HasClock, HasLedger, HasNeon, HasSettings, HasSql, Protocol):
    """Ports to check the database by SQL, in the database function or in an operator's process."""


class SmokePorts(TaskPorts, HasSettings, Protocol):
    """Ports to run the smoke command."""


class TaskCheckPorts(HasClock, HasServices, Protocol):
    """Ports to check the tasks of a release."""


class ReleaseCheckPorts(OutagePorts, ConnectionCheckPorts, HasDatabaseChecks, HasServices, Protocol):
    """Ports to check a running release."""
