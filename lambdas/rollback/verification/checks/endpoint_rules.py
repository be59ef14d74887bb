"""Judge the probes of one endpoint: every answer must be the expected one, and the 95th percentile fast enough."""

import math
import re

from rollback.check import Check
from rollback.domain.settings.environment import HealthEndpoint
from rollback.resources.aws.ecs_service import ProbeResult

_QUANTILE = 0.95


def why_not_expected(result: ProbeResult, endpoint: HealthEndpoint) -> str | None:
    """Say how an answer differs from the expected one, latency aside; None: it does not.

    The reason never quotes the body, which may have personal data.
    """
    if result.status != endpoint.status:
        answer = result.status if result.status is not None else result.error
        return f"answered {answer}, expected {endpoint.status}"
    if endpoint.body is not None and endpoint.body not in result.body:
        return f"answered {result.status} without {endpoint.body!r}"
    if endpoint.body_pattern is not None and re.search(endpoint.body_pattern, result.body) is None:
        return f"answered {result.status} without a match of {endpoint.body_pattern!r}"
    return None


def percentile_95(samples: tuple[float, ...]) -> float:
    """Return the nearest-rank 95th percentile: below 20 samples, the slowest.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("no sample has no percentile")
    return sorted(samples)[math.ceil(_QUANTILE * len(samples)) - 1]


def judge_probes(name: str, url: str, endpoint: HealthEndpoint, results: tuple[ProbeResult, ...]) -> Check:
    """Judge the probes of a round; the first wrong answer decides."""
    samples = tuple(round(result.seconds, 3) for result in results)
    p95 = percentile_95(samples)
    last = results[-1]
    evidence = {"url": url, "status": last.status, "seconds": p95, "samples": list(samples)}
    for number, result in enumerate(results, start=1):
        objection = why_not_expected(result, endpoint)
        if objection is not None:
            probe = f" (probe {number} of {endpoint.probes})" if endpoint.probes > 1 else ""
            return Check.failed(name, f"{objection}{probe}", evidence=evidence)
    if p95 > endpoint.max_latency_seconds:
        reason = f"took {p95:.2f} s, more than {endpoint.max_latency_seconds:g} (p95 of {len(samples)} probes)"
        return Check.failed(name, reason, evidence=evidence)
    count = f"{len(samples)} of {endpoint.probes}" if len(samples) < endpoint.probes else str(len(samples))
    body = ", with the expected body" if endpoint.body is not None or endpoint.body_pattern is not None else ""
    reason = f"{last.status} in {p95:.2f} s (p95 of {count} probes){body}"
    return Check.passed(name, reason, evidence=evidence)
