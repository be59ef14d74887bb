"""Neon's work after it has answered: operations that run one after the other, all of a project's in one thread."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

UNFINISHED = frozenset({"scheduling", "running"})
_logger = logging.getLogger(__name__)


def now() -> datetime:
    """Neon's clock."""
    return datetime.now(UTC)


@dataclass
class Operation:
    """One piece of work, and what is to be done. `status` is Neon's."""

    action: str
    branch_id: str
    work: Callable[[], None]
    endpoint_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "scheduling"
    error: str = ""
    failures_count: int = 0
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    locks: bool = True


class Operations:
    """All operations of a project, oldest first. While one is unfinished the project is locked."""

    def __init__(self) -> None:
        self.all: list[Operation] = []
        self._changed = threading.Condition()
        self._is_paused = False
        self._over = False
        self._failing: list[str] = []
        self._timers: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._run, name="neon operations", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        with self._changed:
            return any(operation.status in UNFINISHED and operation.locks for operation in self.all)

    def add(self, operations: Sequence[Operation]) -> None:
        """Have them done, in this order; after one that fails, the others of the same change are cancelled."""
        with self._changed:
            self.all += operations
            self._changed.notify_all()

    def add_running(self, operation: Operation, seconds: float) -> None:
        """One that runs beside the others for so long, and does nothing."""

        def end() -> None:
            if operation.status in UNFINISHED:
                self._end(operation, "finished", "")

        with self._changed:
            operation.status = "running"
            self.all.append(operation)
            timer = threading.Timer(seconds, end)
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def wait(self, seconds: float = 60.0) -> None:
        """Until nothing is left to do. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self.is_busy, seconds):
                raise TimeoutError(f"Neon's operations did not end within {seconds:g} s")

    @contextmanager
    def hold_operations(self) -> Iterator[None]:
        """Nothing new is begun: what is added stays `scheduling`, and the project locked."""
        with self._changed:
            self._is_paused = True
        try:
            yield
        finally:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()

    def fail_next(self, action: str) -> None:
        """Let the next operation of this kind fail, its work not done."""
        with self._changed:
            self._failing.append(action)

    def stop(self) -> None:
        """End after the operation that runs."""
        with self._changed:
            self._over = True
            for timer in self._timers:
                timer.cancel()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (operation := self._next()) is not None:
            try:
                if operation.action in self._failing:
                    self._failing.remove(operation.action)
                    raise RuntimeError("made to fail")
                operation.work()
            except Exception as error:
                _logger.warning("operation %s failed", operation.action, exc_info=True)
                self._end(operation, "failed", str(error))
            else:
                self._end(operation, "finished", "")

    def _next(self) -> Operation | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or (not self._is_paused and self._is_due()))
            if self._over:
                return None
            operation = next(operation for operation in self.all if operation.status == "scheduling")
            operation.status, operation.updated_at = "running", now()
            return operation

    def _is_due(self) -> bool:
        return any(operation.status == "scheduling" for operation in self.all)

    def _end(self, operation: Operation, status: str, error: str) -> None:
        with self._changed:
            operation.status, operation.error, operation.updated_at = status, error, now()
            if status == "failed":
                operation.failures_count += 1
                for other in self.all:
                    if other.status == "scheduling":
                        other.status, other.updated_at = "cancelled", now()
            self._changed.notify_all()
