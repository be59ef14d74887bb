"""Ports that functions about verification need."""

from typing import Protocol

from rollback.guards.ports import OutagePorts
from rollback.ports.holders import HasHttp, HasLedger, HasServices, HasSettings, HasStacks


class ConnectionCheckPorts(HasHttp, HasSettings, Protocol):
    """Ports to ask the endpoints of a service."""


class ReleaseCheckPorts(OutagePorts, ConnectionCheckPorts, HasServices, Protocol):
    """Ports to check a running release."""


class VerificationPorts(ReleaseCheckPorts, HasLedger, HasStacks, Protocol):
    """Ports to verify a target, and to move on if it fails."""
