"""Faults that a test injects into the local GitHub."""

import re
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """A failure of the next `times` requests whose method and path match.

    Attributes:
        path: a regular expression, searched in the path.
        status: HTTP status of the answer; None: the connection is closed without an answer.
        headers: headers of the answer, such as Retry-After.
        is_applied_first: GitHub carries the request out before it fails.
        hang_seconds: how long GitHub waits before it answers.
        answer: body of the answer; None: the message.
    """

    method: str
    path: str
    status: int | None
    message: str = "injected fault"
    headers: dict[str, str] = field(default_factory=dict)
    is_applied_first: bool = False
    hang_seconds: float = 0.0
    answer: Any = None
    times: int = 1

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is for this request."""
        return method == self.method and re.search(self.path, path) is not None


def secondary_rate_limit(method: str, path: str, status: int = 403, retry_after_seconds: int | None = 60) -> Fault:
    """Return GitHub's answer to too much content in a short time; it does not always say how long to wait.

    The message is GitHub's (issues of client libraries quote it).
    """
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return Fault(method, path, status, message, headers)


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
