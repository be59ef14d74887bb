"""Published metrics."""

from rollback.domain.rollback import Rollback


class FakeMetrics:
    """Store the counted rollbacks."""

    def __init__(self) -> None:
        self.counted: list[Rollback] = []
        self.sweeps = 0
        self.late_deliveries = 0
        self.seen: dict[str, tuple[bool, int]] = {}

    def record_conclusion(self, rollback: Rollback) -> None:
        self.counted.append(rollback)

    def record_sweep(self) -> None:
        self.sweeps += 1

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        self.seen[service] = (is_rollback_available, stale_leases)

    def record_deliveries(self, *, late: int) -> None:
        self.late_deliveries = late
