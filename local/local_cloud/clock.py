"""The clock of the embedded cloud. All waits of the cloud itself use it.

With a scale of 20, one real second stands for twenty simulated seconds.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class CloudClock:
    """Turns simulated seconds into real ones.

    Attributes:
        scale: simulated seconds per real second.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"the time scale must be positive, not {self.scale}")

    def real_seconds(self, simulated: float) -> float:
        """Return the real seconds that simulated seconds take."""
        return simulated / self.scale

    def sleep(self, simulated: float) -> None:
        """Wait for simulated seconds."""
        time.sleep(max(0.0, self.real_seconds(simulated)))


class _Current:
    clock = CloudClock()


def configure(scale: float) -> None:
    """Let every later wait of the cloud run `scale` times faster than real time."""
    _Current.clock = CloudClock(scale)


def real_seconds(simulated: float) -> float:
    """Return the real seconds that simulated seconds take on the configured clock."""
    return _Current.clock.real_seconds(simulated)


def sleep(simulated: float) -> None:
    """Wait for simulated seconds on the configured clock."""
    _Current.clock.sleep(simulated)
