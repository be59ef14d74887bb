"""Ports that functions about drills need."""

from typing import Protocol

from rollback.guards.ports import GuardPorts
from rollback.ports.holders import HasImages


class DrillPlanPorts(GuardPorts, HasImages, Protocol):
    """Ports to judge whether a service may be restarted now."""
