"""Sequential test of a failure rate: does a fresh release fail more often than the release before it?

Page's cumulative sum of Wald's log-likelihood ratios (E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954;
A. Wald, "Sequential Analysis", 1947). Each observation adds `ln(p1/p0)` for a failure and `ln((1-p1)/(1-p0))` for a
success, and the sum never falls below zero. So a release that turns bad after good minutes is noticed as soon as one
that is bad from its start.

Take `n` independent observations at the rate `p0`. The chance that the sum ever reaches `h` is at most `n * exp(-h)`:
Wald's bound for one start, times the number of starts. Observations of one interval are not independent,
since a lost packet or a full queue fails several of them. Therefore a sum counts only if its failures come from
`MIN_INTERVALS` intervals.
"""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict

MIN_INTERVALS = 3
_FALSE_POSITIVES = 1e-6  # bound for independent observations; `benchmarks/release_watch.py` has correlated ones
_MAX_OBSERVATIONS = 10_000  # a watch of ten minutes with twelve probes every ten seconds has 720
THRESHOLD = math.log(_MAX_OBSERVATIONS / _FALSE_POSITIVES)
_LEAST_RATE, _MOST_RATE = 0.01, 0.2
_BAD_RATE = 0.25  # the least rate of failures that counts as bad


class RateBaseline(BaseModel):
    """Observations of the release before, while it was judged good."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    observations: int = 0
    failures: int = 0

    @property
    def rate(self) -> float:
        """The failure rate that a good release may have: never below 1 %, since few observations prove no zero."""
        estimate = (self.failures + 1) / (self.observations + 2)  # rule of succession
        return min(_MOST_RATE, max(_LEAST_RATE, estimate)) if self.observations else _LEAST_RATE

    @property
    def bad_rate(self) -> float:
        """The failure rate against which the test decides."""
        return min(0.9, max(_BAD_RATE, 3 * self.rate))


class RateTest(BaseModel):
    """The sum so far.

    Attributes:
        total: cumulative sum; at `THRESHOLD` the release is bad.
        observations: observations since the sum was last zero.
        failures: failures among them.
        failing_intervals: intervals among them that had a failure.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    total: float = 0
    observations: int = 0
    failures: int = 0
    failing_intervals: int = 0

    def add(self, observations: int, failures: int, baseline: RateBaseline) -> Self:
        """Add the observations of one interval, successes before failures.

        Raises:
            ValueError: there are more failures than observations.
        """
        if not 0 <= failures <= observations:
            raise ValueError(f"{failures} failures of {observations} observations")
        good, bad = baseline.rate, baseline.bad_rate
        total = self.total + (observations - failures) * math.log((1 - bad) / (1 - good))
        if total <= 0:
            begun, total = type(self)(), 0.0
        else:
            begun = self
        total += failures * math.log(bad / good)
        if not failures and not total:
            return begun
        return type(self)(
            total=round(total, 4),
            observations=begun.observations + observations,
            failures=begun.failures + failures,
            failing_intervals=begun.failing_intervals + bool(failures),
        )

    def is_bad(self, min_evidence: int) -> bool:
        """Whether the failures are too many for chance, in enough intervals and observations."""
        return self.total >= THRESHOLD and self.failing_intervals >= MIN_INTERVALS and self.observations >= min_evidence
