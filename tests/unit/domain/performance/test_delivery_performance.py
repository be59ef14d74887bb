"""Delivery performance: rates and times that follow from any set of releases and rollbacks."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW, release, rollback

from rollback.domain.escalation import EscalationLevel
from rollback.domain.performance.delivery_performance import delivery_performance, summarise
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent, Verification
from rollback.domain.service_progress import ServiceProgress

SINCE = NOW - timedelta(days=30)
VERSIONS = tuple(f"v{number}" for number in range(1, 6))


def ended(
    replaced: Release, *, created_at: datetime = NOW, seconds: float = 60, trigger: Trigger = Trigger.ALARM,
    outcome: Outcome | None = Outcome.SUCCEEDED, has_acted: bool = True,
) -> Rollback:  # fmt: skip
    """Build a rollback whose event came at `created_at`."""
    end = created_at + timedelta(seconds=seconds)
    service = ServiceProgress(
        started_at=created_at,
        escalation_level=EscalationLevel.SERVICE,
        escalation_level_since=created_at,
        acted_at=created_at if has_acted else None,
        done_at=end if has_acted else None,
    )
    return rollback(
        created_at=created_at,
        trigger=trigger,
        event=TriggerEvent(id="e", at=created_at),
        plan=Plan(running=replaced, target=release("v0"), checks=()),
        service=service,
        verification=Verification(started_at=end, passed_at=end),
        outcome=outcome,
        concluded_at=end,
    )


def test_a_replaced_release_is_a_failed_deployment_and_its_recovery_is_measured() -> None:
    releases = [release("v1", hours_ago=48), release("v2", hours_ago=2)]
    measured = delivery_performance(releases, [ended(releases[1], seconds=90)], SINCE, NOW)
    assert (measured.deployments, measured.failed_deployments) == (2, 1)
    assert measured.change_failure_rate == 0.5
    assert measured.deployments_a_day == pytest.approx(2 / 30)
    assert (measured.rollbacks.recovery.median, measured.rollbacks.recovery.p90) == (90, 90)
    assert measured.rollbacks.by_phase["act"].median == 90


def test_a_failed_deployment_that_was_never_recorded_counts_as_a_deployment() -> None:
    measured = delivery_performance([], [ended(release("v2"))], SINCE, NOW)
    assert (measured.deployments, measured.change_failure_rate) == (1, 1)


def test_a_drill_is_no_failed_deployment_and_no_recovery() -> None:
    suspect = release("v2", state=ReleaseState.SUSPECT)
    measured = delivery_performance([suspect], [ended(suspect, trigger=Trigger.DRILL)], SINCE, NOW)
    assert (measured.failed_deployments, measured.rollbacks.count, measured.drills.count) == (0, 0, 1)
    assert measured.rollbacks.recovery.median is None
    assert measured.drills.recovery.median == 60


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SUPPRESSED, None])
def test_only_a_successful_rollback_recovers(outcome: Outcome | None) -> None:
    measured = delivery_performance([], [ended(release("v2"), outcome=outcome)], SINCE, NOW)
    assert measured.rollbacks.recovery.count == 0
    assert measured.rollbacks.outcomes == {str(outcome or "open"): 1}


def test_a_rollback_that_changed_nothing_makes_no_deployment_a_failure() -> None:
    measured = delivery_performance([], [ended(release("v2"), has_acted=False)], SINCE, NOW)
    assert (measured.deployments, measured.change_failure_rate, measured.rollbacks.recovery.count) == (0, None, 0)


def test_without_a_covered_window_no_frequency_is_known() -> None:
    measured = delivery_performance([], [], NOW, NOW)
    assert (measured.deployments_a_day, measured.change_failure_rate) == (None, None)


_HOURS = st.floats(min_value=0, max_value=2000, allow_nan=False)
_RELEASES = st.lists(
    st.builds(
        lambda version, hours, state: release(version, hours_ago=hours, state=state),
        st.sampled_from(VERSIONS),
        _HOURS,
        st.sampled_from(ReleaseState),
    ),
    max_size=8,
)
_ROLLBACKS = st.lists(
    st.builds(
        lambda version, hours, seconds, trigger, outcome, has_acted: ended(
            release(version),
            created_at=NOW - timedelta(hours=hours),
            seconds=seconds,
            trigger=trigger,
            outcome=outcome,
            has_acted=has_acted,
        ),
        st.sampled_from(VERSIONS),
        _HOURS,
        st.floats(min_value=0, max_value=7200),
        st.sampled_from(Trigger),
        st.none() | st.sampled_from(Outcome),
        st.booleans(),
    ),
    max_size=8,
)


@given(_RELEASES, _ROLLBACKS)
def test_counts_add_up_and_a_rate_is_a_share(releases: list[Release], rollbacks: list[Rollback]) -> None:
    measured = delivery_performance(releases, rollbacks, SINCE, NOW)
    within = [record for record in rollbacks if SINCE <= record.created_at <= NOW and not record.is_test]
    assert measured.rollbacks.count + measured.drills.count == len(within)
    assert 0 <= measured.failed_deployments <= measured.deployments
    assert measured.change_failure_rate is None or 0 <= measured.change_failure_rate <= 1
    for statistics in (measured.rollbacks, measured.drills):
        assert sum(statistics.outcomes.values()) == sum(statistics.triggers.values()) == statistics.count
        assert statistics.recovery.count <= statistics.outcomes.get("succeeded", 0)


@given(_RELEASES, _ROLLBACKS)
def test_the_order_of_the_records_and_records_outside_the_window_change_nothing(
    releases: list[Release], rollbacks: list[Rollback]
) -> None:
    old = ended(release("v9"), created_at=SINCE - timedelta(days=1))
    measured = delivery_performance(releases, rollbacks, SINCE, NOW)
    assert delivery_performance(releases[::-1], [old, *rollbacks[::-1]], SINCE, NOW) == measured


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1))
def test_median_and_p90_lie_between_the_least_and_the_greatest_duration(seconds: list[float]) -> None:
    durations = summarise(seconds)
    assert durations.median is not None
    assert durations.p90 is not None
    assert min(seconds) <= durations.median <= max(seconds)
    assert durations.p90 in seconds
    assert sum(value <= durations.p90 for value in seconds) >= 0.9 * len(seconds)
