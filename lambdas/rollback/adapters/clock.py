"""The machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Aware UTC."""

    def now(self) -> datetime:
        """The present."""
        return datetime.now(UTC)
