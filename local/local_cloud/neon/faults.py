"""Faults on order: what Neon's API does to a request, what its proxy says to a client, what is otherwise than expected.

Words of the proxy are those of its source, https://github.com/neondatabase/neon/tree/main/proxy/src: `AuthError` in
auth/mod.rs, `get_user_facing_message` in control_plane/messages.rs, `PostgresError` in compute/mod.rs. It answers all
of them with severity ERROR and SQLSTATE XX000 (`throw_error` in stream.rs). A sentence of the control plane takes the
place of `QUOTA_EXCEEDED` and `ENDPOINT_DISABLED` where it sends one; its words are not published.
"""

import re
import threading
from dataclasses import dataclass

REQUEST_FAILED = "Control plane request failed"
QUOTA_EXCEEDED = f"{REQUEST_FAILED}: endpoint is temporarily unavailable. Check your quotas and/or contact our support."
ENDPOINT_DISABLED = f"{REQUEST_FAILED}: endpoint is disabled"
ENDPOINT_NOT_FOUND = f"{REQUEST_FAILED}: endpoint cannot be found"
COULD_NOT_CONNECT = "Couldn't connect to compute node"  # passes
TOO_MANY_CONNECTIONS = "Too many connections to this endpoint. Please try again later."  # passes
UNPOOLED = (
    ". Please use unpooled connection or remove this parameter from the startup package. More details: "
    "https://neon.tech/docs/connect/connection-errors#unsupported-startup-parameter"
)


def address_not_allowed(address: str) -> str:
    """IP Allow."""
    return (
        f"This IP address {address} is not allowed to connect to this endpoint. Please add it to the allowed list in "
        "the Neon console. Make sure to check for IPv4 or IPv6 addresses."
    )


def password_failed(role: str) -> str:
    """A wrong password, or a role that is not there."""
    return f"password authentication failed for user '{role}'"


class ProxyRefusal(Exception):
    """The proxy turns a client away; the text is what it says."""


@dataclass
class BehaviourOverrides:
    """How a project differs from what is expected of Neon, where its documentation leaves it open.

    Attributes:
        expiry_refusal: why no branch may expire, as with the Data API; None: they may.
        reports_last_reset: a restore of a branch to its own past sets `last_reset_at`.
        detach_seconds: how long a restore's `detach_parent_branch` runs though the branch is ready; 0: there is none.
        detach_locks: the project is locked (423) meanwhile.
    """

    expiry_refusal: str | None = None
    reports_last_reset: bool = True
    detach_seconds: float = 0.0
    detach_locks: bool = True


@dataclass
class Fault:
    """Meets the next `times` requests whose method and path match.

    Attributes:
        path: a regular expression, searched in the path below the project.
        status: the answer's; None: the connection is closed without one.
        is_applied_first: the request is carried out first, as when a proxy gives up on a slow answer (524).
        retry_after_seconds: named in the answer, if given.
    """

    method: str
    path: str
    status: int | None
    message: str = "made to fail"
    is_applied_first: bool = False
    retry_after_seconds: int | None = None
    times: int = 1

    def __post_init__(self) -> None:
        self._path = re.compile(self.path)

    def matches(self, method: str, path: str) -> bool:
        return method == self.method and self._path.search(path) is not None


class Faults:
    """Those that are still to come. Thread-safe."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def inject(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(fault)

    def next(self, method: str, path: str) -> Fault | None:
        """The fault that meets this request, counted as having happened."""
        with self._lock:
            fault = next((fault for fault in self._pending if fault.matches(method, path)), None)
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._pending.remove(fault)
            return fault
