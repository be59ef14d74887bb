"""The sequential test: bounds that its theory states, and failures that it must or must not call bad."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.release_watch.rate_test import MIN_INTERVALS, THRESHOLD, RateBaseline, RateTest

BASELINE = RateBaseline(observations=1000, failures=0)
INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda p: (p[0] + p[1], p[1])), max_size=60)


def run(intervals: list[tuple[int, int]], baseline: RateBaseline = BASELINE) -> RateTest:
    test = RateTest()
    for observations, failures in intervals:
        test = test.add(observations, failures, baseline)
    return test


def test_a_release_that_fails_in_two_of_five_is_bad_at_the_third_look() -> None:
    looks = [(12, 5)] * 3
    assert not run(looks[:2]).is_bad(20)
    assert run(looks).is_bad(20)


def test_failures_of_few_intervals_are_no_evidence_however_many() -> None:
    assert not run([(60, 60)] * (MIN_INTERVALS - 1)).is_bad(20)


def test_few_observations_are_no_evidence() -> None:
    looks = [(3, 3)] * 6
    assert run(looks).total > THRESHOLD
    assert not run(looks).is_bad(20)
    assert run(looks).is_bad(18)


def test_single_failures_among_good_answers_are_forgotten() -> None:
    test = run([(12, 1), *[(12, 0)] * 2] * 20)
    assert test.total < THRESHOLD / 2
    assert not test.is_bad(20)


def test_a_release_that_turns_bad_late_is_noticed_as_soon_as_one_bad_from_the_start() -> None:
    good = [(12, 0)] * 50
    assert run([*good, *[(12, 5)] * 3]).is_bad(20)


def test_a_release_before_that_failed_often_raises_the_limit() -> None:
    failing_before = RateBaseline(observations=700, failures=140)
    looks = [(12, 3)] * 10
    assert run(looks).is_bad(20)
    assert not run(looks, failing_before).is_bad(20)


def test_no_observation_of_the_release_before_is_no_proof_of_zero_failures() -> None:
    assert RateBaseline().rate == RateBaseline(observations=10_000).rate == 0.01


@given(INTERVALS)
def test_the_sum_is_never_negative_and_counts_only_since_it_was_zero(intervals: list[tuple[int, int]]) -> None:
    test = run(intervals)
    assert test.total >= 0
    assert 0 <= test.failing_intervals <= test.failures <= test.observations <= sum(n for n, _ in intervals)


@given(INTERVALS, st.integers(1, 30))
def test_more_failures_never_make_a_release_look_better(intervals: list[tuple[int, int]], more: int) -> None:
    worse = [(count + more, failures + more) for count, failures in intervals]
    assert run(worse).total >= run(intervals).total


@pytest.mark.parametrize(("observations", "failures"), [(1, 2), (-1, 0), (3, -1)])
def test_impossible_counts_are_refused(observations: int, failures: int) -> None:
    with pytest.raises(ValueError, match="failures of"):
        RateTest().add(observations, failures, BASELINE)


def test_independent_failures_at_the_good_rate_stay_below_the_stated_bound() -> None:
    """The sum reaches half of the threshold about as rarely as Wald's bound says: n * exp(-h)."""
    chance, limit = random.Random(14), THRESHOLD / 2
    watches, reached = 2_000, 0
    for _ in range(watches):
        test, highest = RateTest(), 0.0
        for _ in range(60):
            test = test.add(12, sum(chance.random() < 0.01 for _ in range(12)), BASELINE)
            highest = max(highest, test.total)
        reached += highest >= limit
    bound = 720 * math.exp(-limit)
    assert reached / watches <= bound + 4 * math.sqrt(bound / watches)
