"""Probe the HTTP endpoints of a service several times a round, one request after the other."""

from rollback.check import Check
from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings
from rollback.ports.holders import HasHttp
from rollback.resources.aws.ecs_service import ProbeResult
from rollback.verification.checks.endpoint_rules import judge_probes, why_not_expected

_PATIENCE = 2  # a probe waits for this multiple of the limit: a late answer is told from none
_BUDGET_SECONDS = 20.0  # time of an endpoint's probes in a round: the function has a minute for all checks


def endpoint_check_name(endpoint: HealthEndpoint) -> str:
    """Name the check of an endpoint."""
    return f"endpoint-answers {endpoint.path}"


def check_endpoint(service: ServiceSettings, endpoint: HealthEndpoint, ports: HasHttp) -> Check:
    """Probe an endpoint until a probe has a wrong answer, all probes are done, or the time of a round is spent."""
    name = endpoint_check_name(endpoint)
    if service.base_url is None:
        return Check.skipped(name, "no base_url is set for the service")
    url = service.base_url.rstrip("/") + endpoint.path
    with_body = endpoint.body is not None or endpoint.body_pattern is not None
    results: list[ProbeResult] = []
    spent_seconds = 0.0
    patience_seconds = endpoint.max_latency_seconds * _PATIENCE
    while len(results) < endpoint.probes:
        left_seconds = _BUDGET_SECONDS - spent_seconds
        if results and left_seconds < endpoint.max_latency_seconds:
            break  # a good answer might come too late for the round
        result = ports.http.get(url, min(patience_seconds, left_seconds), with_body=with_body)
        results.append(result)
        spent_seconds += result.seconds
        if why_not_expected(result, endpoint) is not None:
            break
    return judge_probes(name, url, endpoint, tuple(results))
