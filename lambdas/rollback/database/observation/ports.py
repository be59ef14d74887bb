"""Ports that functions about the observation of a database need."""

from typing import Protocol

from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.identity.ports import KnownReleasePorts
from rollback.ports.holders import HasAccountAndRegion, HasClock, HasLedger, HasMetrics, HasNeon, HasSettings, HasSql


class SchemaRecordPorts(KnownReleasePorts, HasSettings, Protocol):
    """Ports to record the schema that a release runs with."""


class DatabaseReadinessPorts(BranchHistoryPorts, SchemaRecordPorts, Protocol):
    """Ports to judge whether a database is ready for a rollback."""


class ProbePorts(HasClock, HasLedger, HasMetrics, HasNeon, HasSettings, HasSql, Protocol):
    """Ports to measure a database."""


class ObservationPorts(DatabaseReadinessPorts, HasMetrics, HasNeon, HasSql, Protocol):
    """Ports to observe a database."""


class DeploymentObservationPorts(ObservationPorts, HasAccountAndRegion, Protocol):
    """Ports to observe a database when a deployment begins or ends."""
