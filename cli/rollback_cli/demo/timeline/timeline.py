"""A live timeline: one line for each event, after the seconds since the start; coloured in a terminal only."""

import threading
import time

from rich.console import Console

_STYLES = {"good": "green", "bad": "red", "act": "cyan", "note": "dim", "head": "bold"}


class Timeline:
    """Prints events of several threads in the order in which they came."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Real seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str, style: str = "note") -> None:
        """Print one event; its further lines are indented below the first."""
        with self._lock:
            stamp = f"{self.seconds:6.1f}s  "
            for line in text.splitlines():
                self._console.print(stamp, end="", style="dim", highlight=False)
                self._console.print(line, style=_STYLES[style], highlight=False, markup=False, soft_wrap=True)
                stamp = " " * len(stamp)
