"""Faults that a test injects: failing API requests, refusals of the proxy, and behaviour that Neon leaves open.

The proxy's messages come from its source, https://github.com/neondatabase/neon/tree/main/proxy/src: `AuthError` in
auth/mod.rs, `get_user_facing_message` in control_plane/messages.rs, `PostgresError` in compute/mod.rs. The proxy
answers with severity ERROR and SQLSTATE XX000 (`throw_error` in stream.rs). The control plane may send a sentence of
its own in place of `QUOTA_EXCEEDED` and `ENDPOINT_DISABLED`, which Neon does not publish.
"""

import re
import threading
from dataclasses import dataclass

REQUEST_FAILED = "Control plane request failed"
QUOTA_EXCEEDED = f"{REQUEST_FAILED}: endpoint is temporarily unavailable. Check your quotas and/or contact our support."
ENDPOINT_DISABLED = f"{REQUEST_FAILED}: endpoint is disabled"
ENDPOINT_NOT_FOUND = f"{REQUEST_FAILED}: endpoint cannot be found"
UNPOOLED = (
    ". Please use unpooled connection or remove this parameter from the startup package. More details: "
    "https://neon.tech/docs/connect/connection-errors#unsupported-startup-parameter"
)


def address_not_allowed(address: str) -> str:
    """Return the proxy's refusal of an address that IP Allow excludes."""
    return (
        f"This IP address {address} is not allowed to connect to this endpoint. Please add it to the allowed list in "
        "the Neon console. Make sure to check for IPv4 or IPv6 addresses."
    )


def password_failed(role: str) -> str:
    """Return the proxy's refusal of a wrong password or an unknown role."""
    return f"password authentication failed for user '{role}'"


class ProxyRefusal(Exception):
    """The proxy refuses a client. The text is its message."""


@dataclass
class BehaviourOverrides:
    """Behaviour of a project where Neon's documentation leaves it open.

    Attributes:
        expiry_refusal: reason why no branch may expire, as with the Data API; None: branches may.
        reports_last_reset: restoring a branch to its own past sets `last_reset_at`.
        detach_seconds: how long a restore's `detach_parent_branch` runs while the branch is ready; 0: none runs.
        detach_locks: that operation locks the project (423).
    """

    expiry_refusal: str | None = None
    reports_last_reset: bool = True
    detach_seconds: float = 0.0
    detach_locks: bool = True


@dataclass
class Fault:
    """A failure of the next `times` requests whose method and path match.

    Attributes:
        path: a regular expression, searched in the path below the project.
        status: HTTP status of the answer; None: the connection is closed without an answer.
        is_applied_first: Neon carries the request out, as when a proxy times out on a slow answer (524).
        retry_after_seconds: value of Retry-After; None: no such header.
    """

    method: str
    path: str
    status: int | None
    message: str = "injected fault"
    is_applied_first: bool = False
    retry_after_seconds: int | None = None
    times: int = 1

    def __post_init__(self) -> None:
        self._path = re.compile(self.path)

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is for this request."""
        return method == self.method and self._path.search(path) is not None


class Faults:
    """The injected faults that have not happened yet. Thread-safe."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def inject(self, fault: Fault) -> None:
        """Inject a fault."""
        with self._lock:
            self._pending.append(fault)

    def next(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, and count it as happened; None: the request succeeds."""
        with self._lock:
            fault = next((fault for fault in self._pending if fault.matches(method, path)), None)
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._pending.remove(fault)
            return fault
