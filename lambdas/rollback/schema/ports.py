"""Ports that functions about schemas need."""

from typing import Protocol

from rollback.ports.holders import HasLedger, HasSettings


class SchemaVerdictPorts(HasLedger, HasSettings, Protocol):
    """Ports to judge schemas by the records of the ledger."""
