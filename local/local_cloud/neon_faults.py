"""Faults on order: what Neon's API does to a request, before or after doing the work."""

import re
import threading
from dataclasses import dataclass


@dataclass
class Fault:
    """Meets the next `times` requests whose method and path match.

    Attributes:
        path: a regular expression, searched in the path below the project.
        status: the answer's; None: the connection is closed without one.
        after_the_work: the request is carried out first, as when a proxy gives up on a slow answer (524).
        retry_after_seconds: named in the answer, if given.
    """

    method: str
    path: str
    status: int | None
    message: str = "made to fail"
    after_the_work: bool = False
    retry_after_seconds: int | None = None
    times: int = 1

    def __post_init__(self) -> None:
        self._path = re.compile(self.path)

    def meets(self, method: str, path: str) -> bool:
        return method == self.method and self._path.search(path) is not None


class Faults:
    """Those that are still to come. Thread-safe."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []
        self._lock = threading.Lock()

    def order(self, fault: Fault) -> None:
        with self._lock:
            self._ordered.append(fault)

    def next(self, method: str, path: str) -> Fault | None:
        """The fault that meets this request, counted as having happened."""
        with self._lock:
            fault = next((fault for fault in self._ordered if fault.meets(method, path)), None)
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._ordered.remove(fault)
            return fault
