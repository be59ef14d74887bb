"""Traffic of `rollback local traffic`: requests to the load balancer, and a line about each second's answers."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from local_cloud.elb.load import Answer, LoadGenerator
from rollback_cli.local_environment.profile import MAX_PENDING

_PATHS = ("/api/status", "/api/ping")
_NO_ANSWER = "no answer"


@dataclass
class Answers:
    """Answers of some time, counted by status and by version."""

    statuses: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[_NO_ANSWER if answer.status is None else str(answer.status)] += 1
        self.versions[answer.version or "no version"] += 1
        self.seconds.append(answer.seconds)

    def describe(self) -> str:
        """Return the counts and latencies as one line."""
        if not self.seconds:
            return "no answer yet"
        statuses = "  ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        versions = ", ".join(f"{version} {count}" for version, count in sorted(self.versions.items()))
        return (
            f"{statuses}  |  median {_milliseconds(self.seconds, 0.5)} ms, p95 {_milliseconds(self.seconds, 0.95)} ms"
            f"  |  {versions}"
        )


def send(
    base_url: str, requests_per_second: float, limit_seconds: float | None, report: Callable[[Answers], None]
) -> Counter[str]:
    """Send requests, and report the answers of each second, until the limit or KeyboardInterrupt.

    Args:
        base_url: address of the load balancer.
        requests_per_second: in real time.
        limit_seconds: None: without a limit.
        report: gets the answers that came in the last second.

    Returns:
        All answers by status.
    """
    lock, current, totals = threading.Lock(), [Answers()], Counter[str]()

    def listen(answer: Answer) -> None:
        with lock:
            current[0].add(answer)

    def take() -> Answers:
        with lock:
            answers, current[0] = current[0], Answers()
        totals.update(answers.statuses)
        return answers

    load = LoadGenerator(base_url, requests_per_second, _PATHS, max_pending=MAX_PENDING, listener=listen)
    ends_at = None if limit_seconds is None else time.monotonic() + limit_seconds
    try:
        load.start()
        while ends_at is None or time.monotonic() < ends_at:
            time.sleep(1 if ends_at is None else max(0.0, min(1.0, ends_at - time.monotonic())))
            report(take())
    except KeyboardInterrupt:
        pass
    finally:
        load.stop()
    take()  # answers that came while the last requests ended
    return totals


def _milliseconds(seconds: Sequence[float], share: float) -> int:
    """Return the latency that a share of the answers does not exceed."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))])
