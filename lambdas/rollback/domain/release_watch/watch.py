"""The watch over one fresh release: what was observed so far, and the verdict about it.

The watch travels as the cursor of its state machine, so it needs no ledger. It holds sums and the newest latencies,
never the single answers of all intervals.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.domain.release_watch.latency_test import MIN_SAMPLES, is_slower, median
from rollback.domain.release_watch.rate_test import RateBaseline, RateTest

ALL_ENDPOINTS = "all endpoints"
MIN_TASK_EXITS = 2  # one task may end by chance: its host failed, or somebody stopped it
MIN_SLOW_INTERVALS = 3
_KEPT_LATENCIES = 60  # the newest minutes of each endpoint
_MAX_LISTED = 5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Answers(_Frozen):
    """Answers of one endpoint in one interval.

    Attributes:
        failures: answers that were not the expected one, and requests without an answer.
        seconds: latency of each expected answer.
        example: the first failure, for the reason.
    """

    count: int
    failures: int = 0
    seconds: tuple[float, ...] = ()
    example: str = ""


class Observation(_Frozen):
    """Evidence of one interval.

    Attributes:
        answers: path of an endpoint → its answers; empty: the service has none.
        task_exits: task → why it ended, of tasks of the watched deployment that ended by themselves since it began.
        not_observed: what could not be looked at, and why.
    """

    at: AwareDatetime
    answers: Mapping[str, Answers] = {}
    task_exits: Mapping[str, str] = {}
    not_observed: tuple[str, ...] = ()


class Baseline(_Frozen):
    """The release before, as its own watch saw it; a service's first release has none.

    Attributes:
        rates: path → observations and failures; `ALL_ENDPOINTS` for all together.
        seconds: path → latencies of its last intervals.
    """

    version: str = ""
    rates: Mapping[str, RateBaseline] = {}
    seconds: Mapping[str, tuple[float, ...]] = {}

    def rate_of(self, path: str) -> RateBaseline:
        """Return the baseline of an endpoint; one that the release before didn't have gets the default."""
        return self.rates.get(path, RateBaseline())


class ReleaseWatch(_Frozen):
    """The watch over one release.

    Attributes:
        deployment_id: ECS's deployment, `ecs-svc/…`, to which all evidence belongs.
        until: end of the watch; from then on the alarms alone are in charge.
        rates: path → test of its failure rate; `ALL_ENDPOINTS` for all together.
        totals: path → all observations and failures, the baseline of the next release.
        slow_intervals: path → intervals in a row in which it was slower than before.
        task_exits: task → why it ended.
        not_observed: what could not be looked at in any interval, and why.
    """

    service: str
    version: str
    deployment_id: str
    began_at: AwareDatetime
    until: AwareDatetime
    baseline: Baseline = Baseline()
    intervals: int = 0
    rates: Mapping[str, RateTest] = {}
    totals: Mapping[str, RateBaseline] = {}
    seconds: Mapping[str, tuple[float, ...]] = {}
    slow_intervals: Mapping[str, int] = {}
    task_exits: Mapping[str, str] = {}
    examples: Mapping[str, str] = {}
    not_observed: tuple[str, ...] = ()

    def is_over(self, now: datetime) -> bool:
        """Whether the window of the watch has passed."""
        return now >= self.until

    @property
    def observations(self) -> int:
        """Answers that were counted, of all endpoints."""
        return self.totals.get(ALL_ENDPOINTS, RateBaseline()).observations

    def add(self, observation: Observation) -> Self:
        """Add what an interval showed."""
        counted = _with_sum(observation.answers)
        rates = {
            path: self.rates.get(path, RateTest()).add(answers.count, answers.failures, self.baseline.rate_of(path))
            for path, answers in counted.items()
        }
        totals = {path: _sum(self.totals.get(path, RateBaseline()), answers) for path, answers in counted.items()}
        seconds = {
            path: (*self.seconds.get(path, ()), *answers.seconds)[-_KEPT_LATENCIES:]
            for path, answers in observation.answers.items()
        }
        slow = {
            path: self.slow_intervals.get(path, 0) + 1 if is_slower(self.baseline.seconds.get(path, ()), values) else 0
            for path, values in seconds.items()
        }
        examples = {path: answers.example for path, answers in observation.answers.items() if answers.example}
        return self.model_copy(
            update={
                "intervals": self.intervals + 1,
                "rates": {**self.rates, **rates},
                "totals": {**self.totals, **totals},
                "seconds": {**self.seconds, **seconds},
                "slow_intervals": {**self.slow_intervals, **slow},
                "task_exits": {**self.task_exits, **observation.task_exits},
                "examples": {**examples, **self.examples},
                "not_observed": tuple(dict.fromkeys((*self.not_observed, *observation.not_observed))),
            }
        )

    def why_bad(self, min_evidence: int) -> str | None:
        """Say why the release is bad; None: nothing was seen that chance does not explain.

        Args:
            min_evidence: least number of answers, or of tasks that ended, on which the watch acts.
        """
        reasons = [*self._failing(min_evidence), *self._slow(min_evidence), *self._exits()]
        return "; ".join(reasons[:_MAX_LISTED]) or None

    def as_baseline(self) -> Baseline:
        """Return what the next release is compared with."""
        return Baseline(version=self.version, rates=self.totals, seconds=self.seconds)

    @property
    def limits(self) -> tuple[str, ...]:
        """Name the evidence that this watch could not judge."""
        latency = [
            f"latency of {path} (the release before has {len(self.baseline.seconds.get(path, ()))} answers, "
            f"{MIN_SAMPLES} are needed)"
            for path in self.seconds
            if len(self.baseline.seconds.get(path, ())) < MIN_SAMPLES
        ]
        return (*self.not_observed, *latency)

    def _failing(self, min_evidence: int) -> list[str]:
        bad = [path for path, test in self.rates.items() if test.is_bad(min_evidence)]
        single = [path for path in bad if path != ALL_ENDPOINTS]
        return [self._describe_failures(path) for path in single or bad]

    def _describe_failures(self, path: str) -> str:
        test, before = self.rates[path], self.baseline.rate_of(path)
        compared = (
            f"{before.failures} of {before.observations} with {self.baseline.version}"
            if before.observations
            else "no release was watched before"
        )
        example = self.examples.get(path) or next(iter(self.examples.values()), "")
        said = f", for example: {example}" if example else ""
        return f"{path} failed in {test.failures} of {test.observations} probes ({compared}){said}"

    def _slow(self, min_evidence: int) -> list[str]:
        if self.observations < min_evidence:
            return []
        return [
            f"{path} answers in {median(self.seconds[path]):.2f} s (median), "
            f"{median(self.baseline.seconds[path]):.2f} s with {self.baseline.version}"
            for path, intervals in self.slow_intervals.items()
            if intervals >= MIN_SLOW_INTERVALS
        ]

    def _exits(self) -> list[str]:
        if len(self.task_exits) < MIN_TASK_EXITS:
            return []
        reasons: Sequence[str] = tuple(dict.fromkeys(self.task_exits.values()))
        return [f"{len(self.task_exits)} tasks ended: {', '.join(reasons[:_MAX_LISTED])}"]


def _with_sum(answers: Mapping[str, Answers]) -> dict[str, Answers]:
    if len(answers) < 2:
        return dict(answers) if not answers else {**answers, ALL_ENDPOINTS: next(iter(answers.values()))}
    count, failures = sum(a.count for a in answers.values()), sum(a.failures for a in answers.values())
    return {**answers, ALL_ENDPOINTS: Answers(count=count, failures=failures)}


def _sum(total: RateBaseline, answers: Answers) -> RateBaseline:
    return RateBaseline(observations=total.observations + answers.count, failures=total.failures + answers.failures)
