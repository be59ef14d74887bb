"""The one clock of the embedded cloud: everything that the cloud itself waits for goes through here.

With a scale of 20, one real second stands for twenty simulated seconds.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class CloudClock:
    """Turns simulated seconds into real ones; `scale` is simulated seconds per real second."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"the time scale must be positive, not {self.scale}")

    def real_seconds(self, simulated: float) -> float:
        return simulated / self.scale

    def sleep(self, simulated: float) -> None:
        time.sleep(max(0.0, self.real_seconds(simulated)))


class _Current:
    clock = CloudClock()


def configure(scale: float) -> None:
    """Make every later wait of the cloud run `scale` times faster than real time."""
    _Current.clock = CloudClock(scale)


def current() -> CloudClock:
    return _Current.clock


def real_seconds(simulated: float) -> float:
    """How many real seconds the given simulated seconds take."""
    return _Current.clock.real_seconds(simulated)


def sleep(simulated: float) -> None:
    """Wait for the given simulated seconds."""
    _Current.clock.sleep(simulated)
