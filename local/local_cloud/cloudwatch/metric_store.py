"""Data points of a metric: statistics over the latest periods, each shortened to real seconds by the clock."""

import datetime
import math
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local_cloud import clock

MetricKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name and sorted dimensions of a metric."""

_STATISTICS = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True)
class Sample:
    """One value, or a set of values of which only the statistics are known.

    Attributes:
        moment: seconds since the epoch.
    """

    moment: float
    total: float
    count: float
    low: float
    high: float


def is_supported(statistic: str) -> bool:
    """Whether the embedded cloud computes the statistic."""
    return statistic in _STATISTICS or _PERCENTILE.fullmatch(statistic) is not None


def statistic_of(samples: Sequence[Sample], statistic: str) -> float | None:
    """Return a statistic; None without samples. Percentiles interpolate, and take a set's mean for its values."""
    if not samples:
        return None
    total, count = sum(sample.total for sample in samples), sum(sample.count for sample in samples)
    simple: dict[str, Callable[[], float]] = {
        "Sum": lambda: total,
        "SampleCount": lambda: count,
        "Average": lambda: total / count,
        "Minimum": lambda: min(sample.low for sample in samples),
        "Maximum": lambda: max(sample.high for sample in samples),
    }
    if statistic in simple:
        return simple[statistic]()
    values = sorted(sample.total / sample.count for sample in samples)
    rank = (len(values) - 1) * float(statistic[1:]) / 100
    low = math.floor(rank)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (rank - low)


class MetricStore:
    """The samples of one CloudWatch backend, by metric."""

    def __init__(self, backend: Any) -> None:
        self._backend = weakref.ref(backend)
        self._read = 0
        self._samples: dict[MetricKey, list[Sample]] = {}
        self._lock = threading.Lock()

    def refresh(self, now: float, keep_seconds: float) -> None:
        """Read the samples that have arrived, and forget samples older than `keep_seconds` (real)."""
        backend = self._backend()
        if backend is None:
            return
        with self._lock:
            data = backend.metric_data
            if len(data) < self._read:  # a reset of moto
                self._read, self._samples = 0, {}
            fresh = data[self._read :]
            self._read += len(fresh)
            for datum in fresh:
                self._samples.setdefault(_key_of(datum), []).append(_sample_of(datum))
            for key, samples in self._samples.items():
                self._samples[key] = [sample for sample in samples if sample.moment > now - keep_seconds]

    def points(
        self, key: MetricKey, statistic: str, period_seconds: float, count: int, now: float
    ) -> list[float | None]:
        """Return the statistic in each of the latest `count` periods (simulated seconds), the newest first."""
        period = clock.real_seconds(period_seconds)
        windows: list[list[Sample]] = [[] for _ in range(count)]
        with self._lock:
            for sample in self._samples.get(key, ()):
                index = math.floor((now - sample.moment) / period)
                if 0 <= index < count:
                    windows[index].append(sample)
        return [statistic_of(window, statistic) for window in windows]


def metric_key(namespace: str, name: str, dimensions: Sequence[Any]) -> MetricKey:
    """Return the key of a metric; its dimensions may come in any order."""
    return namespace, name, tuple(sorted((str(d.name), str(d.value)) for d in dimensions))


def _key_of(datum: Any) -> MetricKey:
    return metric_key(datum.namespace, datum.name, datum.dimensions)


def _sample_of(datum: Any) -> Sample:
    moment: datetime.datetime = datum.timestamp
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    if hasattr(datum, "value"):
        return Sample(seconds, datum.value, 1, datum.value, datum.value)
    return Sample(seconds, datum.sum, datum.sample_count, datum.min, datum.max)
