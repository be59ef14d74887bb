"""One look at a fresh release: requests to the endpoints, and the tasks of its deployment that failed."""

from collections.abc import Mapping

from rollback.domain.release_watch.watch import Answers, Observation
from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings
from rollback.domain.settings.release_watch import ReleaseWatchSettings
from rollback.errors import ExternalServiceError
from rollback.release_watch.ports import ObservationPorts
from rollback.resources.aws.ecs_service import ProbeResult, ServiceView
from rollback.resources.aws.ecs_task import why_failed
from rollback.text import one_line
from rollback.verification.checks.endpoint_rules import why_not_expected

_PATIENCE = 2  # a probe waits for this multiple of the endpoint's limit
_SHARE_OF_INTERVAL = 0.6  # the rest is for the other looks and for Step Functions
_EXAMPLE_CHARACTERS = 120


def observe(
    service: ServiceSettings, view: ServiceView, settings: ReleaseWatchSettings, ports: ObservationPorts
) -> Observation:
    """Look once.

    Raises:
        ExternalServiceError: nothing could be looked at.
    """
    not_observed = []
    answers = probe(service, settings, ports)
    if not answers:
        why = "no base_url" if service.base_url is None else "no endpoints"
        not_observed.append(f"answers of the service ({why} in its settings)")
    try:
        exits = failed_tasks(service, view, ports)
    except ExternalServiceError as failure:
        if not answers:
            raise
        exits = {}
        not_observed.append(one_line(f"tasks that ended ({failure})", _EXAMPLE_CHARACTERS))
    return Observation(at=ports.clock.now(), answers=answers, task_exits=exits, not_observed=tuple(not_observed))


def probe(service: ServiceSettings, settings: ReleaseWatchSettings, ports: ObservationPorts) -> dict[str, Answers]:
    """Send the probes of an interval, the endpoints in turn, until all are sent or the time for them is spent."""
    if service.base_url is None or not service.endpoints:
        return {}
    results: dict[str, list[ProbeResult]] = {endpoint.path: [] for endpoint in service.endpoints}
    left_seconds = settings.watch_interval_seconds * _SHARE_OF_INTERVAL
    for number in range(max(settings.watch_probes, len(service.endpoints))):
        endpoint = service.endpoints[number % len(service.endpoints)]
        if left_seconds <= 0 and results[endpoint.path]:
            break
        patience = endpoint.max_latency_seconds * _PATIENCE
        url = service.base_url.rstrip("/") + endpoint.path
        with_body = endpoint.body is not None or endpoint.body_pattern is not None
        result = ports.http.get(url, patience, with_body=with_body)
        results[endpoint.path].append(result)
        left_seconds -= result.seconds
    return {endpoint.path: _count(results[endpoint.path], endpoint) for endpoint in service.endpoints}


def failed_tasks(service: ServiceSettings, view: ServiceView, ports: ObservationPorts) -> Mapping[str, str]:
    """Return task → why it failed, of the tasks of PRIMARY's deployment.

    Raises:
        ExternalServiceError: ECS does not list the tasks.
    """
    own = [task for task in ports.services.service_tasks(service) if task.deployment_id == view.primary.id]
    reasons = {task.id: why_failed(task, service.container) for task in own if task.is_stopped}
    return {task: one_line(why, _EXAMPLE_CHARACTERS) for task, why in reasons.items() if why is not None}


def _count(results: list[ProbeResult], endpoint: HealthEndpoint) -> Answers:
    objections = [why_not_expected(result, endpoint) for result in results]
    failures = [objection for objection in objections if objection is not None]
    good = [result for result, objection in zip(results, objections, strict=True) if objection is None]
    return Answers(
        count=len(results),
        failures=len(failures),
        seconds=tuple(round(result.seconds, 3) for result in good),
        example=one_line(failures[0], _EXAMPLE_CHARACTERS) if failures else "",
    )
