"""Mann-Whitney against values worked out by hand, and latencies that must or must not call a release slower."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.release_watch.latency_test import CRITICAL_Z, MIN_SAMPLES, is_slower, mann_whitney_z, median

SAMPLES = st.lists(st.floats(0.001, 10), min_size=1, max_size=40)


def sample(seed: int, middle: float, count: int = 60) -> list[float]:
    chance = random.Random(seed)
    return [middle * chance.lognormvariate(0, 0.5) for _ in range(count)]


def test_the_statistic_is_the_textbooks() -> None:
    # U = 8.5 of 3 * 4; mean 6; ties: the value 2 twice. Variance 12 / 12 * (8 - 6 / 42).
    assert mann_whitney_z([1, 2, 3, 4], [2, 5, 6]) == pytest.approx((9.5 - 6) / (8 - 6 / 42) ** 0.5)


@given(SAMPLES, SAMPLES)
def test_the_statistic_is_antisymmetric(old: list[float], new: list[float]) -> None:
    assert mann_whitney_z(old, new) == pytest.approx(-mann_whitney_z(new, old), abs=1e-9)


@given(SAMPLES)
def test_equal_samples_do_not_differ(values: list[float]) -> None:
    assert mann_whitney_z(values, values) == pytest.approx(0, abs=1e-9)


def test_three_times_slower_is_slower() -> None:
    assert is_slower(sample(1, 0.2), sample(2, 0.6))


def test_a_small_difference_is_left_alone_however_certain() -> None:
    old, new = sample(1, 0.2, 60), [value * 1.6 for value in sample(1, 0.2, 60)]
    assert mann_whitney_z(old * 20, new * 20) > CRITICAL_Z
    assert not is_slower(old * 20, new * 20)


def test_a_difference_of_milliseconds_is_left_alone() -> None:
    assert not is_slower([0.005] * 60, [0.02] * 60)


def test_slow_outliers_do_not_decide() -> None:
    assert not is_slower(sample(1, 0.2), [*sample(2, 0.2, 45), *[8.0] * 15])


def test_few_samples_are_no_evidence() -> None:
    assert not is_slower([0.1] * (MIN_SAMPLES - 1), [5.0] * 60)
    assert not is_slower([0.1] * 60, [5.0] * (MIN_SAMPLES - 1))
    assert is_slower([0.1] * MIN_SAMPLES, [5.0] * MIN_SAMPLES)


@pytest.mark.parametrize(("values", "middle"), [([3.0], 3), ([1.0, 2.0], 1.5), ([5.0, 1.0, 3.0], 3)])
def test_the_median(values: list[float], middle: float) -> None:
    assert median(values) == middle


def test_nothing_has_no_median_and_no_rank() -> None:
    with pytest.raises(ValueError, match="no median"):
        median([])
    with pytest.raises(ValueError, match="needs a sample"):
        mann_whitney_z([], [1.0])
