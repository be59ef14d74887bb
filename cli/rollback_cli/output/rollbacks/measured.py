"""`rollback metrics`: the measures of delivery performance."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from rollback.domain.performance.delivery_performance import DeliveryPerformance, Durations, RollbackStatistics
from rollback_cli.output.document import Document, Line, Part
from rollback_cli.output.records import format_records

if TYPE_CHECKING:
    from datetime import datetime

_HEADER = ("measure", "value", "unit")
NOT_KNOWN = "not known"


class MeasuredDurations(Part):
    """Durations in seconds."""

    count: int
    median_seconds: float | None = Field(description="null: nothing was measured")
    p90_seconds: float | None = Field(description="90th percentile by the nearest rank; null: nothing was measured")


class MeasuredRollbacks(Part):
    """Statistics of rollbacks, or of drills."""

    count: int
    by_outcome: dict[str, int] = Field(description="outcome → number; an unfinished rollback counts as `open`")
    by_trigger: dict[str, int]
    recovery: MeasuredDurations = Field(description="from the trigger's event to the last good check")
    by_phase: dict[str, MeasuredDurations]


class Performance(Part):
    """Measures of the part of the window that the ledger covers."""

    days: float = Field(description="length of that part")
    deployments: int
    deployments_per_day: float | None = Field(description="null: the ledger covers no time")
    failed_deployments: int
    change_failure_rate: float | None = Field(description="between 0 and 1; null: there was no deployment")
    lead_time_seconds: None = Field(default=None, description="not known, since the ledger has no commit times")
    rollbacks: MeasuredRollbacks
    drills: MeasuredRollbacks = Field(description="not part of the other measures")


class Metrics(Document):
    """Output of `rollback metrics`."""

    services: tuple[Line, ...]
    since: AwareDatetime = Field(description="begin of the window that was asked for")
    until: AwareDatetime
    covered_since: AwareDatetime | None = Field(description="begin of the covered part; null: the ledger has no record")
    performance: Performance | None = Field(description="null: nothing was measured")
    unreadable_records: int = Field(description="records of rollbacks that can't be read, and do not count")
    record_limit: int | None = Field(
        description="records read of a service, if more were left out; null: all were read"
    )


def describe_performance(performance: DeliveryPerformance) -> Performance:
    """Describe the measures."""
    return Performance(
        days=performance.days,
        deployments=performance.deployments,
        deployments_per_day=performance.deployments_a_day,
        failed_deployments=performance.failed_deployments,
        change_failure_rate=performance.change_failure_rate,
        rollbacks=_statistics(performance.rollbacks),
        drills=_statistics(performance.drills),
    )


def metrics_lines(metrics: Metrics) -> Iterator[str]:
    """Describe the measures for a person: each with its unit, and what is not known."""
    performance, covered_since = metrics.performance, metrics.covered_since
    if performance is None or covered_since is None:
        yield f"the ledger has no readable release or rollback since {_at(metrics.since)}: nothing was measured"
    else:
        yield from _measures(performance, covered_since, metrics.since)
    if metrics.unreadable_records:
        yield f"{metrics.unreadable_records} records of rollbacks can't be read, and are not part of the measures"
    if metrics.record_limit is not None:
        yield f"more than {metrics.record_limit} records of a service were not read: ask for a shorter --since"


def _measures(performance: Performance, covered_since: "datetime", since: "datetime") -> Iterator[str]:
    yield f"window: {performance.days:.1f} days, since {_at(covered_since)}"
    if covered_since > since:
        yield f"  the ledger covers no time before that; asked for since {_at(since)}"
    frequency, rate = performance.deployments_per_day, performance.change_failure_rate
    per_day = f"{frequency:.2f} a day" if frequency is not None else NOT_KNOWN
    yield f"deployment frequency: {per_day} ({performance.deployments} releases)"
    share = f"{rate:.1%}" if rate is not None else f"{NOT_KNOWN}, since no release was deployed"
    yield f"change failure rate: {share} ({performance.failed_deployments} of {performance.deployments})"
    yield f"failed deployment recovery time: {_duration_text(performance.rollbacks.recovery)}"
    yield f"lead time for changes: {NOT_KNOWN}, since the ledger has no commit times"
    yield from _statistics_lines("rollbacks", performance.rollbacks)
    yield from _statistics_lines("drills (not part of the measures above)", performance.drills)


def metrics_records(metrics: Metrics) -> Iterator[str]:
    """List each measure as a record; `not known` where there is no value."""
    return format_records(_HEADER, _records(metrics))


def _records(metrics: Metrics) -> Iterator[tuple[str, object, str]]:
    yield "since", metrics.since, "UTC"
    yield "until", metrics.until, "UTC"
    yield "covered_since", metrics.covered_since or NOT_KNOWN, "UTC"
    yield "unreadable_records", metrics.unreadable_records, "records"
    yield "all_records_read", metrics.record_limit is None, "yes or no"
    performance = metrics.performance
    if performance is None:
        return
    yield "deployments", performance.deployments, "releases"
    yield "deployments_per_day", _number(performance.deployments_per_day), "releases a day"
    yield "failed_deployments", performance.failed_deployments, "releases"
    yield "change_failure_rate", _number(performance.change_failure_rate), "share of 1"
    yield "lead_time", NOT_KNOWN, "seconds"
    for name, statistics in (("rollbacks", performance.rollbacks), ("drills", performance.drills)):
        yield f"{name}.count", statistics.count, name
        yield from ((f"{name}.outcome.{key}", count, name) for key, count in sorted(statistics.by_outcome.items()))
        yield from ((f"{name}.trigger.{key}", count, name) for key, count in sorted(statistics.by_trigger.items()))
        for key, durations in {"recovery": statistics.recovery, **statistics.by_phase}.items():
            yield f"{name}.{key}.median", _number(durations.median_seconds), "seconds"
            yield f"{name}.{key}.p90", _number(durations.p90_seconds), "seconds"


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.4g}"


def _statistics(statistics: RollbackStatistics) -> MeasuredRollbacks:
    return MeasuredRollbacks(
        count=statistics.count,
        by_outcome=dict(statistics.outcomes),
        by_trigger=dict(statistics.triggers),
        recovery=_durations(statistics.recovery),
        by_phase={phase: _durations(durations) for phase, durations in statistics.by_phase.items()},
    )


def _durations(durations: Durations) -> MeasuredDurations:
    return MeasuredDurations(count=durations.count, median_seconds=durations.median, p90_seconds=durations.p90)


def _statistics_lines(title: str, statistics: MeasuredRollbacks) -> Iterator[str]:
    yield f"{title}: {statistics.count}"
    if not statistics.count:
        return
    yield f"  by outcome: {_counts(statistics.by_outcome)}"
    yield f"  by trigger: {_counts(statistics.by_trigger)}"
    for phase, durations in statistics.by_phase.items():
        yield f"  {phase}: {_duration_text(durations)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _duration_text(durations: MeasuredDurations) -> str:
    if durations.median_seconds is None or durations.p90_seconds is None:
        return "not measured"
    return f"median {durations.median_seconds:.0f} s, p90 {durations.p90_seconds:.0f} s, of {durations.count}"


def _at(time: "datetime") -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
