"""Port to the HTTP endpoints of a service."""

from typing import Protocol

from rollback.effects import reads
from rollback.resources.aws.ecs_service import ProbeResult


class Http(Protocol):
    """HTTP probes of a service."""

    @reads
    def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        """Send one GET request; a failure of the service is a result, never an exception.

        Args:
            url: URL to request.
            timeout_seconds: limit of the whole request.
            with_body: put the first 64 KiB of the body into the result.
        """
        ...
