"""Compute of a branch: it starts at the first connection, and keeps its address when its storage is replaced."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from local_cloud.neon.faults import ProxyRefusal
from local_cloud.neon.pooler import SERVER_IDLE_SECONDS, Pooler
from local_cloud.neon.proxy import HOST, Proxy
from local_cloud.neon.timeline import Timeline

Admit = Callable[[str, str], None]
"""Checks a branch's id and a client's address, and raises ProxyRefusal to refuse the client."""


class Compute:
    """A read-write endpoint. Thread-safe. While the branch has no storage, connections are refused.

    Attributes:
        refuses: the proxy's refusal of every client (see `faults`); None: it accepts clients.
    """

    def __init__(self, identity: str, branch_id: str, created_at: datetime, admit: Admit) -> None:
        """Listen; `admit` is called at each connection."""
        self.id = identity
        self.refuses: str | None = None
        self._admit = admit
        self.branch_id = branch_id
        self.created_at = self.updated_at = created_at
        self._lock = threading.RLock()
        self._timeline: Timeline | None = None
        self._proxy = Proxy(self._open_socket)
        self._pooler: Pooler | None = None  # made when its address is first requested

    @property
    def address(self) -> str:
        """`host:port` in the connection string."""
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
        """`host:port` in a pooled connection string.

        The name has Neon's form and need not resolve: `pooled_query` gives its address.
        """
        return f"{self.id}-pooler.localhost:{self.pooler.port}"

    @property
    def pooled_query(self) -> str:
        """Query of a pooled connection string. It lets libpq skip the name's resolution."""
        return f"hostaddr={HOST}"

    @property
    def state(self) -> str:
        """Neon's state: `init`, `active` or `idle`."""
        timeline = self._timeline
        if timeline is None:
            return "init"
        return "active" if timeline.cluster.is_running else "idle"

    def start(self) -> None:
        """Start the server, if the branch has storage."""
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
        """Suspend, and refuse connections until other storage is attached."""
        with self._lock:
            self.suspend()
            self._timeline = None

    def attach(self, timeline: Timeline) -> None:
        """Use this storage from now on. `start` or the next connection starts the server."""
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
