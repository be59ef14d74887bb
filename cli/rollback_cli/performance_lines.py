"""Lines of `rollback metrics`: each measure with its unit, and what is not known."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rollback.domain.performance.delivery_performance import DeliveryPerformance, Durations, RollbackStatistics


def performance_lines(performance: DeliveryPerformance, since: datetime, covered_since: datetime) -> Iterator[str]:
    """Describe the performance.

    Args:
        performance: measures of the covered part of the window.
        since: start of the window that was asked for.
        covered_since: start of the part that the ledger covers.
    """
    yield f"window: {performance.days:.1f} days, since {covered_since:%Y-%m-%d %H:%M} UTC"
    if covered_since > since:
        yield f"  the ledger covers no time before that; asked for since {since:%Y-%m-%d %H:%M} UTC"
    frequency, rate = performance.deployments_a_day, performance.change_failure_rate
    per_day = f"{frequency:.2f} a day" if frequency is not None else "not known"
    yield f"deployment frequency: {per_day} ({performance.deployments} releases)"
    share = f"{rate:.1%}" if rate is not None else "not known, since no release was deployed"
    yield f"change failure rate: {share} ({performance.failed_deployments} of {performance.deployments})"
    yield f"failed deployment recovery time: {_durations(performance.rollbacks.recovery)}"
    yield "lead time for changes: not known, since the ledger has no commit times"
    yield from _statistics("rollbacks", performance.rollbacks)
    yield from _statistics("drills (not part of the measures above)", performance.drills)


def _statistics(title: str, statistics: RollbackStatistics) -> Iterator[str]:
    yield f"{title}: {statistics.count}"
    if not statistics.count:
        return
    yield f"  by outcome: {_counts(statistics.outcomes)}"
    yield f"  by trigger: {_counts(statistics.triggers)}"
    for phase, durations in statistics.by_phase.items():
        yield f"  {phase}: {_durations(durations)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _durations(durations: Durations) -> str:
    if durations.median is None or durations.p90 is None:
        return "not measured"
    return f"median {durations.median:.0f} s, p90 {durations.p90:.0f} s, of {durations.count}"
