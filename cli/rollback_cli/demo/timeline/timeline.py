"""A live timeline: one line an event, seconds since the start in front; colours only where somebody looks."""

import threading
import time

from rich.console import Console

_STYLES = {"good": "green", "bad": "red", "act": "cyan", "note": "dim", "head": "bold"}


class Timeline:
    """Lines from several threads, in the order in which they came."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Real seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str, style: str = "note") -> None:
        """Print one event; further lines of it stand below the first."""
        with self._lock:
            stamp = f"{self.seconds:6.1f}s  "
            for line in text.splitlines():
                self._console.print(stamp, end="", style="dim", highlight=False)
                self._console.print(line, style=_STYLES[style], highlight=False, markup=False, soft_wrap=True)
                stamp = " " * len(stamp)
