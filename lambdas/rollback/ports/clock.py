"""The clock port."""

from datetime import datetime
from typing import Protocol

from rollback.effects import reads


class Clock(Protocol):
    """The present time, as aware UTC."""

    @reads
    def now(self) -> datetime:
        """Return the present time in UTC."""
        ...
