"""A load generator: steady requests to the load balancer, counted by result and by the answering version."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

REQUEST_TIMEOUT_SECONDS = 10.0  # real


@dataclass(frozen=True)
class Answer:
    """Answer to one request.

    Attributes:
        status: HTTP status; None: no answer came.
        version: version that answered; empty: the load balancer did, or no answer came.
        seconds: real seconds from the request to its answer.
    """

    status: int | None
    version: str
    seconds: float

    @property
    def was_served(self) -> bool:
        """Whether the answer is below 500."""
        return self.status is not None and self.status < 500


@dataclass
class Second:
    """Results of the requests that were sent in one real second."""

    second: int
    served: int = 0
    failed: int = 0
    by_version: Counter[str] = field(default_factory=Counter)


class LoadGenerator:
    """Sends ``requests_per_second`` (real time) to ``paths`` in turn until stopped. Also a context manager."""

    def __init__(
        self,
        base_url: str,
        requests_per_second: float = 20.0,
        paths: Sequence[str] = ("/api/status",),
        *,
        max_pending: int = 32,
        listener: Callable[[Answer], None] | None = None,
    ) -> None:
        """Describe a load without starting it.

        Args:
            base_url: address of the load balancer.
            requests_per_second: in real time.
            paths: paths of the requests, in turn.
            max_pending: requests that wait for an answer at the same time; further ones are sent later.
            listener: gets each answer, in the thread of its request.
        """
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._interval, self._paths = 1 / requests_per_second, itertools.cycle(paths)
        self._max_pending, self._listener = max_pending, listener
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._started = time.monotonic()
        self._seconds: dict[int, Second] = {}

    @property
    def served(self) -> int:
        """Number of requests answered below 500."""
        with self._lock:
            return sum(second.served for second in self._seconds.values())

    @property
    def failed(self) -> int:
        """Number of requests answered with 5xx, or not answered."""
        with self._lock:
            return sum(second.failed for second in self._seconds.values())

    @property
    def by_version(self) -> Counter[str]:
        """Number of answers, including errors, by the version that gave them."""
        with self._lock:
            return sum((second.by_version for second in self._seconds.values()), Counter())

    @property
    def timeline(self) -> list[Second]:
        """Results by second since the start, for each second in which a request was sent."""
        with self._lock:
            return [self._seconds[key] for key in sorted(self._seconds)]

    def start(self) -> LoadGenerator:
        """Begin to send requests."""
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop sending, and wait for pending answers."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> LoadGenerator:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _run(self) -> None:
        with ThreadPoolExecutor(max_workers=self._max_pending, thread_name_prefix="request") as pool:
            due = time.monotonic()
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due += self._interval
                pool.submit(self._send_request, next(self._paths), int(time.monotonic() - self._started))

    def _send_request(self, path: str, second: int) -> None:
        answer = self._request(path)
        with self._lock:
            entry = self._seconds.setdefault(second, Second(second))
            entry.served, entry.failed = entry.served + answer.was_served, entry.failed + (not answer.was_served)
            if answer.version:
                entry.by_version[answer.version] += 1
        if self._listener is not None:
            self._listener(answer)

    def _request(self, path: str) -> Answer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=REQUEST_TIMEOUT_SECONDS)
        started, status, version = time.monotonic(), None, ""
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            content = response.read()
            if "json" in (response.getheader("Content-Type") or ""):
                version = str(json.loads(content).get("version", ""))
            status = response.status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return Answer(status, version, time.monotonic() - started)
