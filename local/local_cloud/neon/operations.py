"""Operations: Neon's work after its answer. The operations of a project run one after the other, in one thread."""

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
    """Return the time on Neon's clock."""
    return datetime.now(UTC)


@dataclass
class Operation:
    """An operation.

    Attributes:
        work: does the operation.
        status: Neon's.
        locks: the project is locked while the operation is unfinished.
    """

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
    """All operations of a project, the oldest first. An unfinished one that locks makes the project busy."""

    def __init__(self) -> None:
        self.all: list[Operation] = []
        self._changed = threading.Condition()
        self._is_paused = False
        self._stopping = False
        self._failing: list[str] = []
        self._timers: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._run, name="neon operations", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether an unfinished operation locks the project."""
        with self._changed:
            return any(operation.status in UNFINISHED and operation.locks for operation in self.all)

    def add(self, operations: Sequence[Operation]) -> None:
        """Schedule operations in this order. A failure cancels those that are still scheduled."""
        with self._changed:
            self.all += operations
            self._changed.notify_all()

    def add_running(self, operation: Operation, seconds: float) -> None:
        """Add an operation that runs beside the others for some real seconds, and does no work."""

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
        """Wait until the project is not locked.

        Raises:
            TimeoutError: the project is still locked.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self.is_busy, seconds):
                raise TimeoutError(f"Neon's operations did not end within {seconds:g} s")

    @contextmanager
    def hold_operations(self) -> Iterator[None]:
        """Begin no operation until the context ends. New ones stay `scheduling`, and lock the project."""
        with self._changed:
            self._is_paused = True
        try:
            yield
        finally:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()

    def fail_next(self, action: str) -> None:
        """Let the next operation of this action fail without doing its work."""
        with self._changed:
            self._failing.append(action)

    def stop(self) -> None:
        """End the thread after the running operation."""
        with self._changed:
            self._stopping = True
            for timer in self._timers:
                timer.cancel()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (operation := self._next()) is not None:
            try:
                if operation.action in self._failing:
                    self._failing.remove(operation.action)
                    raise RuntimeError("injected fault")
                operation.work()
            except Exception as error:
                _logger.warning("operation %s failed", operation.action, exc_info=True)
                self._end(operation, "failed", str(error))
            else:
                self._end(operation, "finished", "")

    def _next(self) -> Operation | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (not self._is_paused and self._is_due()))
            if self._stopping:
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
