"""Ports that functions about down migrations need."""

from typing import Protocol

from rollback.database.changes.ports import FencePorts
from rollback.ports.holders import HasImages, HasServices, HasSettings
from rollback.service.ports import TaskPorts


class MigrationCheckPorts(HasImages, HasServices, HasSettings, Protocol):
    """Ports to check that the task definition of the down migrations can run."""


class MigrationTaskPorts(TaskPorts, HasSettings, Protocol):
    """Ports to run the command of the down migrations."""


class DownMigrationPorts(FencePorts, MigrationTaskPorts, HasImages, Protocol):
    """Ports to run down migrations on a fenced branch."""
