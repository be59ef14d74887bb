"""Software delivery performance of services, computed from the ledger's releases and rollbacks.

The measures follow DORA: deployment frequency, change failure rate and failed deployment recovery time. The ledger
knows no commit times, so lead time for changes is not known. Definitions: https://dora.dev/guides/dora-metrics-four-keys/
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from rollback.domain.phases import PHASES, phases
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback

_BAD_STATES = frozenset({ReleaseState.SUSPECT, ReleaseState.QUARANTINED})
_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Durations:
    """Durations in seconds.

    Attributes:
        count: number of the durations.
        median: None without durations.
        p90: 90th percentile by the nearest rank; None without durations.
    """

    count: int = 0
    median: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class RollbackStatistics:
    """Statistics of rollbacks, or of drills.

    Attributes:
        outcomes: outcome → number; an unfinished rollback counts as `open`.
        triggers: trigger → number.
        recovery: from the trigger's event to the last good check, of successful rollbacks that changed something.
        by_phase: phase → durations of the same rollbacks.
    """

    count: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    triggers: Mapping[str, int] = field(default_factory=dict)
    recovery: Durations = Durations()
    by_phase: Mapping[str, Durations] = field(default_factory=dict)


@dataclass(frozen=True)
class DeliveryPerformance:
    """Performance within a window.

    Attributes:
        days: length of the part of the window that the ledger covers.
        deployments: releases that were first deployed in the window, and releases that a rollback replaced in it.
        failed_deployments: those of them that a rollback replaced, or that were judged bad.
    """

    days: float
    deployments: int
    failed_deployments: int
    rollbacks: RollbackStatistics
    drills: RollbackStatistics

    @property
    def deployments_a_day(self) -> float | None:
        """Deployment frequency; None: the ledger covers no time."""
        return self.deployments / self.days if self.days > 0 else None

    @property
    def change_failure_rate(self) -> float | None:
        """Share of the deployments that failed, between 0 and 1; None: there was no deployment."""
        return self.failed_deployments / self.deployments if self.deployments else None


def delivery_performance(
    releases: Iterable[Release], rollbacks: Iterable[Rollback], since: datetime, until: datetime
) -> DeliveryPerformance:
    """Compute the performance between two times.

    Args:
        releases: releases of the services; those first deployed outside the window are left out.
        rollbacks: rollbacks of the services; those created outside the window are left out.
        since: start of the window that the ledger covers.
        until: end of the window.
    """
    within = [rollback for rollback in rollbacks if since <= rollback.created_at <= until]
    created = [rollback for rollback in within if not rollback.is_test]
    drills = [rollback for rollback in created if rollback.trigger is Trigger.DRILL]
    real = [rollback for rollback in created if rollback.trigger is not Trigger.DRILL]
    deployed = [release for release in releases if since <= release.first_deployed_at <= until]
    drilled = {key for drill in drills for key in _replaced(drill)}
    replaced = {key for rollback in real for key in _replaced(rollback)}
    judged_bad = {_key(release) for release in deployed if release.state in _BAD_STATES}
    failed = replaced | (judged_bad - drilled)  # a drill leaves a good release behind
    return DeliveryPerformance(
        days=max(0.0, (until - since).total_seconds()) / _SECONDS_A_DAY,
        deployments=len({_key(release) for release in deployed} | failed),
        failed_deployments=len(failed),
        rollbacks=_statistics(real),
        drills=_statistics(drills),
    )


def summarise(seconds: Sequence[float]) -> Durations:
    """Return count, median and 90th percentile."""
    ordered = sorted(seconds)
    if not ordered:
        return Durations()
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Durations(count=len(ordered), median=median, p90=ordered[ceil(0.9 * len(ordered)) - 1])


def _statistics(rollbacks: Sequence[Rollback]) -> RollbackStatistics:
    recovered = [rollback for rollback in rollbacks if _recovery(rollback) is not None]
    durations = [phases(rollback) for rollback in recovered]
    return RollbackStatistics(
        count=len(rollbacks),
        outcomes=dict(Counter(str(rollback.outcome or "open") for rollback in rollbacks)),
        triggers=dict(Counter(str(rollback.trigger) for rollback in rollbacks)),
        recovery=summarise([r.total_seconds() for r in map(_recovery, recovered) if r is not None]),
        by_phase={phase: summarise([one[phase] for one in durations if phase in one]) for phase in PHASES},
    )


def _recovery(rollback: Rollback) -> timedelta | None:
    """Return the time from the event (or the request) to the last good check; None: nothing was recovered."""
    verified_at = rollback.verification.passed_at if rollback.verification is not None else None
    ended_at = verified_at or rollback.concluded_at
    if rollback.outcome is not Outcome.SUCCEEDED or not rollback.has_acted or ended_at is None:
        return None
    began_at = rollback.event.at if rollback.event is not None else rollback.created_at
    return max(timedelta(), ended_at - began_at)


def _replaced(rollback: Rollback) -> tuple[tuple[str, str], ...]:
    """Key of the release that a rollback replaced; none if the rollback deployed nothing."""
    if rollback.plan is None or not rollback.has_moved_service:
        return ()
    return ((rollback.service_name, rollback.plan.running.fingerprint),)


def _key(release: Release) -> tuple[str, str]:
    return release.service, release.fingerprint
