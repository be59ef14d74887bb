"""Compare the error lines of a release now with those of the same release while it was good.

The question is whether the present rate is more than `FACTOR` times the baseline's. Counts of few events vary by
chance, so the answer is an exact test of two Poisson rates. Given the sum of both counts, the present count has a
binomial distribution (Przyborowski and Wilenski 1940, "Homogeneity of results in testing samples from Poisson series",
https://doi.org/10.1093/biomet/31.3-4.313). The check fails if a count so high had a probability below `MAX_PROBABILITY`
at `FACTOR` times the baseline's rate, and if there are at least `MIN_ERRORS` lines.

Rates are per request where a load balancer counts requests, else per minute. Too little evidence is a warning.
"""

import math
from dataclasses import dataclass

from rollback.check import Check
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT

CHECK_NAME = "error-logs-are-usual"
FACTOR = 3.0
MAX_PROBABILITY = 0.001  # a false alarm at the edge of what is allowed is so improbable
MIN_ERRORS = 5
MIN_MINUTES = 2  # full minutes since the release runs alone
MIN_REQUESTS = 20
MIN_BASELINE_MINUTES = 10
MIN_BASELINE_REQUESTS = 100
_NEGLIGIBLE = 1e-15


@dataclass(frozen=True)
class LogSample:
    """Error lines in full minutes while the release ran alone.

    Attributes:
        minutes_with_data: minutes in which any line arrived.
        requests: requests in the same minutes; None: no load balancer counts them.
    """

    errors: float
    minutes: float
    minutes_with_data: int
    requests: float | None


def why_no_baseline(baseline: LogBaseline | None) -> str | None:
    """Say why a release has no usable baseline; None: it has one."""
    if baseline is None:
        return "no baseline was recorded when the release was promoted"
    if baseline.minutes < MIN_BASELINE_MINUTES:
        return f"the baseline has {baseline.minutes:.0f} minutes, fewer than {MIN_BASELINE_MINUTES}"
    if baseline.requests is not None and baseline.requests < MIN_BASELINE_REQUESTS:
        return f"the baseline has {baseline.requests:.0f} requests, fewer than {MIN_BASELINE_REQUESTS}"
    return None


def judge_error_logs(baseline: LogBaseline | None, sample: LogSample) -> Check:
    """Judge the present error lines; without enough evidence the check warns that the log was not looked at."""
    objection = why_no_baseline(baseline) or _why_too_little(baseline, sample)
    if objection is not None or baseline is None:
        return Check.warned(CHECK_NAME, f"not looked at: {objection}", evidence={NOT_LOOKED_AT: CHECK_NAME})
    exposure, usual_exposure, unit = _exposures(baseline, sample)
    probability = probability_of_at_least(sample.errors, exposure, baseline.errors, usual_exposure)
    evidence = {
        "errors": sample.errors, unit: exposure, "usual_errors": baseline.errors, f"usual_{unit}": usual_exposure,
        "probability": float(f"{probability:.3g}"),
    }  # fmt: skip
    reason = (
        f"{sample.errors:.0f} error lines in {exposure:.0f} {unit}; while the release was good, "
        f"{baseline.errors:.0f} in {usual_exposure:.0f}"
    )
    if sample.errors >= MIN_ERRORS and probability < MAX_PROBABILITY:
        return Check.failed(CHECK_NAME, f"{reason}: more than {FACTOR:g} times as many", evidence=evidence)
    return Check.passed(CHECK_NAME, reason, evidence=evidence)


def probability_of_at_least(errors: float, exposure: float, usual_errors: float, usual_exposure: float) -> float:
    """Return the probability of so many errors or more at `FACTOR` times the usual rate, given the sum of both."""
    present, total = math.floor(errors), math.floor(errors) + math.ceil(usual_errors)
    share = FACTOR * exposure / (FACTOR * exposure + usual_exposure)
    if present <= 0 or present <= total * share:  # at or below the mean: far from improbable
        return 1.0
    probability, term = 0.0, math.exp(_log_binomial(present, total, share))
    for count in range(present, total + 1):
        probability += term
        term *= (total - count) / (count + 1) * share / (1 - share)
        if term <= probability * _NEGLIGIBLE:
            break
    return min(1.0, probability)


def _log_binomial(count: int, total: int, share: float) -> float:
    ways = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return ways + count * math.log(share) + (total - count) * math.log1p(-share)


def _why_too_little(baseline: LogBaseline | None, sample: LogSample) -> str | None:
    if sample.minutes < MIN_MINUTES:
        return f"the release has run alone for {sample.minutes:.0f} full minutes, fewer than {MIN_MINUTES}"
    if sample.minutes_with_data == 0:
        return "no line of the log has arrived since the release runs alone"
    if (sample.requests is None) != (baseline is None or baseline.requests is None):
        return "requests are known for only one of both times, so the rates can't be compared"
    if sample.requests is not None and sample.requests < MIN_REQUESTS:
        return f"{sample.requests:.0f} requests since the release runs alone, fewer than {MIN_REQUESTS}"
    if sample.requests is not None and not _can_fail(baseline, sample):
        return f"{sample.requests:.0f} requests are too few: even an error line for each would prove nothing"
    return None


def _can_fail(baseline: LogBaseline | None, sample: LogSample) -> bool:
    """Whether one error line for each request would fail the check: otherwise a pass proves nothing."""
    if baseline is None or baseline.requests is None or sample.requests is None:
        return True
    worst = max(sample.requests, sample.errors)
    probability = probability_of_at_least(worst, sample.requests, baseline.errors, baseline.requests)
    return probability < MAX_PROBABILITY


def _exposures(baseline: LogBaseline, sample: LogSample) -> tuple[float, float, str]:
    if sample.requests is not None and baseline.requests is not None:
        return sample.requests, baseline.requests, "requests"
    return sample.minutes, baseline.minutes, "minutes"
