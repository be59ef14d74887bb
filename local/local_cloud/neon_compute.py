"""The compute of a branch: it wakes at the first connection, and keeps its address whatever storage it runs on."""

import threading
from datetime import datetime
from pathlib import Path

from local_cloud.neon_proxy import Proxy
from local_cloud.neon_timeline import Timeline


class Compute:
    """Thread-safe. `timeline` is None while the branch's storage is being made: then connections are turned away."""

    def __init__(self, identity: str, branch_id: str, created_at: datetime) -> None:
        self.id = identity
        self.branch_id = branch_id
        self.created_at = self.updated_at = created_at
        self._lock = threading.RLock()
        self._timeline: Timeline | None = None
        self._proxy = Proxy(self._open_socket)

    @property
    def address(self) -> str:
        """`host:port` of the connection string."""
        return self._proxy.address

    @property
    def state(self) -> str:
        """`init`, `active` or `idle`."""
        timeline = self._timeline
        if timeline is None:
            return "init"
        return "active" if timeline.cluster.is_running else "idle"

    def start(self) -> None:
        """Start the server, if there is storage to run on."""
        with self._lock:
            if self._timeline is not None:
                self._timeline.start()

    def suspend(self) -> None:
        """Drop all connections and stop the server."""
        with self._lock:
            if self._timeline is not None:
                self._timeline.stop()

    def detach(self) -> None:
        """Suspend, and turn connections away until there is other storage."""
        with self._lock:
            self.suspend()
            self._timeline = None

    def attach(self, timeline: Timeline) -> None:
        """Run on this storage from now on; started by `start` or by the next connection."""
        with self._lock:
            self._timeline = timeline

    def close(self) -> None:
        """Stop listening."""
        self._proxy.close()

    def _open_socket(self) -> Path:
        with self._lock:
            if self._timeline is None:
                raise ConnectionRefusedError(f"endpoint {self.id} has no storage now")
            self._timeline.start()
            return self._timeline.cluster.socket
