"""Clock that a test moves."""

from datetime import datetime, timedelta


class FakeClock:
    """Clock that stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def pass_time(self, **duration: float) -> None:
        self._now += timedelta(**duration)
