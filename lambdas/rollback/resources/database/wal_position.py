"""Positions in a branch's history: a position in Postgres's write-ahead log, or a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainSerializer


@dataclass(frozen=True, order=True)
class Lsn:
    """Log sequence number: bytes since the beginning of the log. The order holds within one history only."""

    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `0/16B3748`, the notation of Postgres and Neon.

        Raises:
            ValueError: the text is no LSN.
        """
        high, slash, low = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no LSN; one looks like 0/16B3748")
        return cls((int(high, 16) << 32) + int(low, 16))

    def __str__(self) -> str:
        return f"{self.number >> 32:X}/{self.number & 0xFFFFFFFF:X}"


def _parsed(value: object) -> object:
    return Lsn.parse(value) if isinstance(value, str) else value


LsnText = Annotated[Lsn, BeforeValidator(_parsed), PlainSerializer(str)]
"""Lsn in a pydantic model, text in JSON."""

Position = Lsn | datetime
"""Lsn, or a time: the last commit at or before it, by the database's clock."""


def rfc3339(at: datetime) -> str:
    """Format a time in UTC with milliseconds, the precision of Neon."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
