"""Simulate the watch over fresh releases: false rollbacks of healthy releases, and the time until bad ones are noticed.

    python benchmarks/release_watch.py [WATCHES]

Healthy releases have realistic noise: independent failures, and disturbances that fail half of all requests for some
seconds. Their latency is log-normal with a tail of slow answers. Nothing runs but the watch's own judgement, so seconds
are those of the watch's clock.
"""

import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollback.domain.release_watch.watch import Answers, Baseline, Observation, ReleaseWatch
from rollback.domain.settings.release_watch import ReleaseWatchSettings

_SETTINGS = ReleaseWatchSettings()
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_PATHS = ("/health", "/api/status", "/api/ping")
_ERROR_RATE = 0.003  # a healthy release has some
_HOURS_BETWEEN_DISTURBANCES, _DISTURBANCE_SECONDS, _DISTURBED_RATE = 2.0, 3.0, 0.5
_MARK_SECONDS, _MARK_FALSE = 30, 1 / 10_000

Latency = Callable[[random.Random], float]


@dataclass(frozen=True)
class Release:
    """A release: how often it fails, how slow it is, and whether the network disturbs it now and then."""

    error_rate: float = _ERROR_RATE
    slower: float = 1.0
    is_disturbed: bool = False

    def latency(self, chance: random.Random) -> float:
        """Return the seconds of an answer: log-normal with a median of 50 ms, 2 % with a pause of half a second."""
        pause = chance.expovariate(2) if chance.random() < 0.02 else 0.0
        return self.slower * (chance.lognormvariate(-3, 0.6) + pause)


def watch(release: Release, chance: random.Random, baseline: Baseline) -> tuple[float | None, ReleaseWatch]:
    """Watch one release; return the seconds until it was called bad (None: never), and the watch."""
    length = _SETTINGS.watch_minutes * 60
    disturbances = list(_disturbances(chance, length)) if release.is_disturbed else []
    observed = ReleaseWatch(
        service="api",
        version="v2",
        deployment_id="ecs-svc/1",
        began_at=_BEGIN,
        until=_BEGIN + timedelta(seconds=length),
        baseline=baseline,
    )
    for second in range(0, round(length), _SETTINGS.watch_interval_seconds):
        rate = release.error_rate
        if any(begin <= second < end for begin, end in disturbances):
            rate = _DISTURBED_RATE
        answers = {path: _answers(release, rate, chance) for path in _PATHS}
        observed = observed.add(Observation(at=_BEGIN, answers=answers))
        if observed.why_bad(_SETTINGS.watch_min_evidence) is not None:
            return float(second), observed
    return None, observed


def _answers(release: Release, rate: float, chance: random.Random) -> Answers:
    count = _SETTINGS.watch_probes // len(_PATHS)
    failures = sum(chance.random() < rate for _ in range(count))
    seconds = tuple(round(release.latency(chance), 3) for _ in range(count - failures))
    return Answers(count=count, failures=failures, seconds=seconds)


def _disturbances(chance: random.Random, length: float) -> list[tuple[float, float]]:
    found, begin = [], chance.expovariate(1 / (_HOURS_BETWEEN_DISTURBANCES * 3600))
    while begin < length:
        found.append((begin, begin + chance.expovariate(1 / _DISTURBANCE_SECONDS)))
        begin += chance.expovariate(1 / (_HOURS_BETWEEN_DISTURBANCES * 3600))
    return found


def main() -> None:
    """Print both tables; end with 1 if a mark is missed."""
    watches = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    chance = random.Random(15)  # noqa: S311 - a simulation
    _, before = watch(Release(), chance, Baseline())
    baseline = before.as_baseline()
    healthy = Release(is_disturbed=True)
    false = sum(watch(healthy, chance, baseline)[0] is not None for _ in range(watches))
    print(f"healthy releases: {watches}, rolled back: {false} (mark: at most 1 in {1 / _MARK_FALSE:,.0f})")
    print("\n| release | noticed | median, s | slowest, s |\n|---|---|---|---|")
    slowest_of_mark = 0.0
    cases = {
        **{f"{rate:.0%} errors": Release(error_rate=rate) for rate in (0.05, 0.1, 0.2, 0.4, 1.0)},
        "three times slower": Release(slower=3),
        "ten times slower": Release(slower=10),
    }
    for name, release in cases.items():
        seconds = [watch(release, chance, baseline)[0] for _ in range(300)]
        noticed = [second for second in seconds if second is not None]
        times = f"{statistics.median(noticed):.0f} | {max(noticed):.0f}" if noticed else "– | –"
        print(f"| {name} | {len(noticed)} of {len(seconds)} | {times} |")
        if release.error_rate == 0.4:
            slowest_of_mark = max(second if second is not None else float("inf") for second in seconds)
    print(f"\n40 % errors: noticed after {slowest_of_mark:.0f} s at the latest (mark: {_MARK_SECONDS} s)")
    sys.exit(false > watches * _MARK_FALSE or slowest_of_mark > _MARK_SECONDS)


if __name__ == "__main__":
    main()
