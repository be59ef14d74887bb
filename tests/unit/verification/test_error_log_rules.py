"""Error lines of a release now, compared with its own while it was good."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW

from rollback.check import Verdict
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.verification.checks.error_log_rules import (
    FACTOR,
    MIN_BASELINE_REQUESTS,
    MIN_ERRORS,
    MIN_REQUESTS,
    LogSample,
    judge_error_logs,
    probability_of_at_least,
)
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT


def baseline(errors: float = 10, requests: float | None = 1000, minutes: float = 15) -> LogBaseline:
    return LogBaseline(since=NOW - timedelta(minutes=minutes), until=NOW, errors=errors, requests=requests)


def sample(errors: float, requests: float | None = 200, minutes: float = 3, with_data: int = 3) -> LogSample:
    return LogSample(errors=errors, minutes=minutes, minutes_with_data=with_data, requests=requests)


counts = st.integers(0, 5_000)
many_requests = st.integers(1_000, 1_000_000)
baselines = st.builds(baseline, counts, many_requests)
samples = st.builds(sample, counts, many_requests)


@pytest.mark.parametrize(
    ("usual", "now", "why"),
    [
        (None, sample(0), "no baseline was recorded"),
        (baseline(minutes=9), sample(0), "9 minutes, fewer than 10"),
        (baseline(requests=MIN_BASELINE_REQUESTS - 1), sample(0), "99 requests, fewer than 100"),
        (baseline(), sample(0, minutes=1), "1 full minutes, fewer than 2"),
        (baseline(), sample(0, with_data=0), "no line of the log has arrived"),
        (baseline(), sample(0, requests=MIN_REQUESTS - 1), "19 requests since"),
        (baseline(), sample(0, requests=None), "known for only one of both times"),
        (baseline(requests=None), sample(0), "known for only one of both times"),
        (baseline(errors=1000, requests=1000), sample(0), "would prove nothing"),
    ],
)
def test_too_little_evidence_is_not_looked_at_and_never_a_pass(
    usual: LogBaseline | None, now: LogSample, why: str
) -> None:
    check = judge_error_logs(usual, now)
    assert check.verdict is Verdict.WARN
    assert NOT_LOOKED_AT in check.evidence
    assert check.reason.startswith("not looked at: ")
    assert why in check.reason


@pytest.mark.parametrize(
    ("usual", "now", "verdict"),
    [
        (baseline(0, 1000), sample(0), Verdict.PASS),
        (baseline(0, 1000), sample(4), Verdict.PASS),  # too few lines to say anything
        (baseline(0, 1000), sample(20), Verdict.FAIL),
        (baseline(10, 1000), sample(6), Verdict.PASS),  # three times the usual rate is allowed
        (baseline(10, 1000), sample(40), Verdict.FAIL),
        (baseline(10, None), sample(6, None), Verdict.PASS),
        (baseline(10, None), sample(60, None), Verdict.FAIL),
    ],
)
def test_far_more_error_lines_than_usual_fail(usual: LogBaseline, now: LogSample, verdict: Verdict) -> None:
    assert judge_error_logs(usual, now).verdict is verdict


@given(st.integers(0, 200), st.integers(1_000, 100_000), st.integers(1, 50))
def test_the_usual_rate_never_fails_whatever_the_traffic(errors: int, requests: int, times: int) -> None:
    now = sample(errors * times, requests * times)
    assert judge_error_logs(baseline(errors, requests), now).verdict is not Verdict.FAIL


@given(baselines, samples, st.integers(0, 1_000))
def test_more_error_lines_never_turn_a_failure_into_a_pass(usual: LogBaseline, now: LogSample, more: int) -> None:
    if judge_error_logs(usual, now).verdict is Verdict.FAIL:
        assert judge_error_logs(usual, replace(now, errors=now.errors + more)).verdict is Verdict.FAIL


@given(baselines, samples)
def test_fewer_lines_than_the_minimum_never_fail(usual: LogBaseline, now: LogSample) -> None:
    few = replace(now, errors=min(now.errors, MIN_ERRORS - 1))
    assert judge_error_logs(usual, few).verdict is not Verdict.FAIL


@given(samples)
def test_without_a_baseline_no_sample_passes_or_fails(now: LogSample) -> None:
    assert judge_error_logs(None, now).verdict is Verdict.WARN


@given(counts, st.integers(1, 10_000), counts, st.integers(1, 10_000))
def test_a_probability_is_between_zero_and_one(errors: int, exposure: int, usual: int, usual_exposure: int) -> None:
    assert 0 <= probability_of_at_least(errors, exposure, usual, usual_exposure) <= 1


def test_the_probability_is_that_of_the_binomial_distribution() -> None:
    # 3 of 3 lines, at a share of 3/(3+1): 0.75 ** 3
    assert probability_of_at_least(3, 1, 0, 1) == pytest.approx((FACTOR / (FACTOR + 1)) ** 3)
    # at least 4 of 5 at the same share
    assert probability_of_at_least(4, 1, 1, 1) == pytest.approx(5 * 0.75**4 * 0.25 + 0.75**5)
