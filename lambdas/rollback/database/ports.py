"""Ports that functions about the database step need."""

from typing import Protocol

from rollback.database.down_migrations.ports import DownMigrationPorts, MigrationTaskPorts
from rollback.database.recreate.ports import BranchSecretPorts, RecreatePorts
from rollback.ports.holders import HasClock, HasNeon, HasServices, HasSql, HasStacks
from rollback.schema.ports import SchemaVerdictPorts


class LiveSchemaPorts(SchemaVerdictPorts, HasClock, Protocol):
    """Ports to judge the live schema."""


class WriterCheckPorts(SchemaVerdictPorts, HasServices, Protocol):
    """Ports to check the releases of a branch's writers."""


class UnsettledChangePorts(BranchSecretPorts, MigrationTaskPorts, HasNeon, HasSql, Protocol):
    """Ports to find out whether an announced change was made."""


class StrategyPorts(RecreatePorts, DownMigrationPorts, Protocol):
    """Ports of all strategies."""


class DatabasePorts(StrategyPorts, HasNeon, HasSql, HasStacks, Protocol):
    """Ports to change a database."""
