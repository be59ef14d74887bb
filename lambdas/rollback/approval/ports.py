"""Ports of the approval gate."""

from typing import Protocol

from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasNotifications, HasSettingsOfRollback, HasTokenCipher, HasWorkflow


class DecisionPorts(LeasePorts, HasWorkflow, HasTokenCipher, HasSettingsOfRollback, Protocol):
    """Ports of a decision and of the token of a waiting execution."""


class ApprovalPorts(LeasePorts, HasNotifications, Protocol):
    """Ports of the step at which a rollback waits."""
