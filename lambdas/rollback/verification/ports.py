"""Ports that functions about verification need."""

from typing import Protocol

from rollback.identity.ports import IdentifyPorts
from rollback.ports.holders import HasLedger, HasStacks, HasTasks
from rollback.verification.checks.ports import ReleaseCheckPorts


class VerificationPorts(ReleaseCheckPorts, HasLedger, HasStacks, HasTasks, Protocol):
    """Ports to verify a target, and to move on if it fails."""


class HealthCheckPorts(ReleaseCheckPorts, IdentifyPorts, HasTasks, Protocol):
    """Ports to check the running release for `rollback verify`."""
