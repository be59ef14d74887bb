"""Ports that functions about the workflow need."""

from typing import Protocol

from rollback.leases.ports import LeaseLivenessPorts
from rollback.ports.holders import HasAccountAndRegion, HasAlarms, HasIdentityProofs, HasServices, HasSettings


class AdmissionPorts(
    LeaseLivenessPorts, HasAlarms, HasAccountAndRegion, HasIdentityProofs, HasServices, HasSettings, Protocol
):
    """Ports to admit a rollback."""
