"""Probes of one endpoint: every answer must be the expected one, and the 95th percentile fast enough."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from simulations.service import start_simulation

from rollback.check import Verdict
from rollback.domain.settings.environment import HealthEndpoint
from rollback.resources.aws.ecs_service import ProbeResult
from rollback.verification.checks.endpoint_rules import judge_probes, percentile_95
from rollback.verification.checks.endpoints import check_endpoint

URL = "http://api.test/health"


def answer(status: int | None = 200, seconds: float = 0.1, body: str = "") -> ProbeResult:
    return ProbeResult(status=status, seconds=seconds, body=body, error="" if status else "ConnectError")


def judge(endpoint: HealthEndpoint, *results: ProbeResult) -> Verdict:
    return judge_probes("endpoint", URL, endpoint, results).verdict


def test_one_wrong_answer_among_many_fails_the_endpoint() -> None:
    endpoint = HealthEndpoint(path="/health", probes=20)
    assert judge(endpoint, *[answer()] * 20) is Verdict.PASS
    assert judge(endpoint, *[answer()] * 19, answer(500)) is Verdict.FAIL
    assert judge(endpoint, *[answer()] * 19, answer(None)) is Verdict.FAIL


def test_one_slow_answer_of_twenty_passes_and_one_of_three_fails() -> None:
    endpoint = HealthEndpoint(path="/health", max_latency_seconds=1, probes=20)
    assert judge(endpoint, *[answer()] * 19, answer(seconds=1.5)) is Verdict.PASS
    assert judge(endpoint, *[answer()] * 18, answer(seconds=1.5), answer(seconds=1.5)) is Verdict.FAIL
    assert judge(endpoint, answer(), answer(), answer(seconds=1.5)) is Verdict.FAIL


@pytest.mark.parametrize(
    ("endpoint", "body", "verdict"),
    [
        (HealthEndpoint(path="/", body="ready"), "it is ready", Verdict.PASS),
        (HealthEndpoint(path="/", body="ready"), "it is not", Verdict.FAIL),
        (HealthEndpoint(path="/", body_pattern=r'"version": *"v\d+"'), '{"version": "v2"}', Verdict.PASS),
        (HealthEndpoint(path="/", body_pattern=r'"version": *"v\d+"'), '{"version": "next"}', Verdict.FAIL),
    ],
)
def test_a_body_must_contain_the_text_or_match_the_pattern(
    endpoint: HealthEndpoint, body: str, verdict: Verdict
) -> None:
    assert judge(endpoint, answer(body=body)) is verdict


def test_a_reason_never_quotes_the_body() -> None:
    check = judge_probes("endpoint", URL, HealthEndpoint(path="/", body="ready"), (answer(body="ada@example.com"),))
    assert check.verdict is Verdict.FAIL
    assert "ada@example.com" not in check.model_dump_json()


def test_the_evidence_lists_the_samples() -> None:
    results = (answer(seconds=0.1), answer(seconds=0.3), answer(seconds=0.2))
    check = judge_probes("endpoint", URL, HealthEndpoint(path="/"), results)
    assert check.evidence["samples"] == [0.1, 0.3, 0.2]
    assert check.evidence["seconds"] == 0.3


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_at_most_a_twentieth_of_the_samples_is_above_the_percentile(samples: list[float]) -> None:
    p95 = percentile_95(tuple(samples))
    assert p95 in samples
    assert sum(sample > p95 for sample in samples) <= len(samples) / 20


def test_a_pattern_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValidationError, match="regular expression"):
        HealthEndpoint(path="/", body_pattern="(")


def test_a_round_sends_the_probes_one_after_the_other_and_stops_at_a_wrong_answer() -> None:
    simulation = start_simulation()
    service, endpoint = simulation.service_settings, HealthEndpoint(path="/health", probes=4)
    assert check_endpoint(service, endpoint, simulation.ports).verdict is Verdict.PASS
    assert simulation.http.asked == [URL] * 4
    simulation.http.asked.clear()
    simulation.http.answers[URL] = answer(503)
    assert check_endpoint(service, endpoint, simulation.ports).verdict is Verdict.FAIL
    assert simulation.http.asked == [URL]


def test_a_round_ends_its_probes_before_the_time_of_the_function() -> None:
    simulation = start_simulation()
    simulation.http.answers[URL] = answer(seconds=9.0)
    endpoint = HealthEndpoint(path="/health", probes=20, max_latency_seconds=10)
    check = check_endpoint(replace(simulation.ports).settings.services[0], endpoint, simulation.ports)
    assert len(simulation.http.asked) == 2  # after 18 s, a third answer within the limit might end the 20 s
    assert "2 of 20 probes" in check.reason


@pytest.mark.parametrize("max_latency_seconds", [2.0, 6.0, 10.0])
def test_probes_wait_no_longer_than_the_time_that_is_left_of_a_round(max_latency_seconds: float) -> None:
    simulation = start_simulation()
    simulation.http.answers[URL] = answer(seconds=max_latency_seconds - 0.1)
    patience: list[float] = []
    get = simulation.http.get

    def noting(url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        patience.append(timeout_seconds)
        return get(url, timeout_seconds, with_body=with_body)

    simulation.http.get = noting  # type: ignore[method-assign]
    endpoint = HealthEndpoint(path="/health", probes=20, max_latency_seconds=max_latency_seconds)
    check_endpoint(simulation.service_settings, endpoint, simulation.ports)
    assert patience[0] == 2 * max_latency_seconds
    spent = [(max_latency_seconds - 0.1) * number for number in range(len(patience))]
    assert all(before + patient <= 20 for before, patient in zip(spent, patience, strict=True))
    assert min(patience) >= max_latency_seconds
