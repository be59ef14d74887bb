"""Durations and times as the written account shows them."""

from datetime import UTC, datetime, timedelta


def in_words(duration: timedelta) -> str:
    """Write a duration with its two largest units, such as `3 min 20 s`."""
    seconds = max(0, round(duration.total_seconds()))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    parts: list[tuple[int, str]] = []
    for size, name in units:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append((count, name))
    shown = [f"{count} {name}" for count, name in parts[:2] if count]
    return " ".join(shown) or "0 s"


def moment(at: datetime) -> str:
    """Write a time to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def percent(share: float) -> str:
    """Write a share as a percentage. A share below 1 never becomes 100 %."""
    value = share * 100
    if value < 100:
        value = min(value, 99.99) if value > 99 else value
    return f"{value:.2f} %" if value > 99 and value < 100 else f"{value:.1f} %"
