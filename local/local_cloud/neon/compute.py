"""The compute of a branch: it wakes at the first connection, and keeps its address whatever storage it runs on."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from local_cloud.neon.faults import ProxyRefusal
from local_cloud.neon.pooler import SERVER_IDLE_SECONDS, Pooler
from local_cloud.neon.proxy import HOST, Proxy
from local_cloud.neon.timeline import Timeline

Admit = Callable[[str, str], None]
"""From a branch's id and a client's address; it raises ProxyRefusal."""


class Compute:
    """Thread-safe. `timeline` is None while the branch's storage is being made: then connections are turned away.

    Attributes:
        refuses: what the proxy says to every client (`neon_faults`); None: it lets them in.
    """

    def __init__(self, identity: str, branch_id: str, created_at: datetime, admit: Admit) -> None:
        """`admit` is asked at each connection."""
        self.id = identity
        self.refuses: str | None = None
        self._admit = admit
        self.branch_id = branch_id
        self.created_at = self.updated_at = created_at
        self._lock = threading.RLock()
        self._timeline: Timeline | None = None
        self._proxy = Proxy(self._open_socket)
        self._pooler: Pooler | None = None  # listens from the first time that its address is asked for

    @property
    def address(self) -> str:
        """`host:port` of the connection string."""
        return self._proxy.address

    @property
    def pooler(self) -> Pooler:
        """PgBouncer beside the server."""
        with self._lock:
            if self._pooler is None:
                self._pooler = Pooler(self._open_socket, SERVER_IDLE_SECONDS)
            return self._pooler

    @property
    def pooled_host(self) -> str:
        """`host:port` of a pooled connection string.

        The name stands for what Neon answers and need not resolve: `pooled_query` says where it is.
        """
        return f"{self.id}-pooler.localhost:{self.pooler.port}"

    @property
    def pooled_query(self) -> str:
        """Query of a pooled connection string; libpq then looks no name up."""
        return f"hostaddr={HOST}"

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
            if self._pooler is not None:
                self._pooler.drop()
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
        with self._lock:
            if self._pooler is not None:
                self._pooler.close()

    def _open_socket(self, address: str) -> Path:
        if self.refuses is not None:
            raise ProxyRefusal(self.refuses)
        self._admit(self.branch_id, address)
        with self._lock:
            if self._timeline is None:
                raise ConnectionRefusedError(f"endpoint {self.id} has no storage now")
            self._timeline.start()
            return self._timeline.cluster.socket
