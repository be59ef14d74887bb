"""Clock that a test moves."""

from datetime import datetime, timedelta


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def pass_time(self, **duration: float) -> None:
        self._now += timedelta(**duration)
