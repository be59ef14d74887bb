"""Ports that the watch over fresh releases needs."""

from typing import Protocol

from rollback.identity.ports import IdentifyPorts
from rollback.ports.holders import HasAccountAndRegion, HasClock, HasHttp, HasServices, HasSettings, HasWorkflow


class ObservationPorts(HasClock, HasHttp, HasServices, Protocol):
    """Ports to look at a fresh release."""


class ReleaseWatchPorts(ObservationPorts, IdentifyPorts, HasAccountAndRegion, HasSettings, HasWorkflow, Protocol):
    """Ports to watch a release, and to start its rollback."""
