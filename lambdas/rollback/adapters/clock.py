"""Clock of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """Adapter."""

    def now(self) -> datetime:
        """Read the machine's clock."""
        return datetime.now(UTC)
