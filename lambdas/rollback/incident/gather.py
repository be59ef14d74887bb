"""Gather the evidence for the written account: traffic, and both task definitions. Nothing that fails is repeated."""

from typing import Protocol

from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, UnsupportedService
from rollback.identity.release_definition import find_definition
from rollback.ports.holders import HasAlarms, HasClock, HasLedger, HasServices, HasSettings
from rollback.reports.document.model import Evidence
from rollback.reports.document.traffic import window_to_measure
from rollback.resources.aws.traffic import TrafficMinute

_FAILURES = (ExternalServiceError, CallRefused, InvalidRequest, UnsupportedService)


class EvidencePorts(HasAlarms, HasClock, HasLedger, HasServices, HasSettings, Protocol):
    """Ports to gather evidence."""


def gather_evidence(rollback: Rollback, ports: EvidencePorts) -> Evidence:
    """Ask CloudWatch, the ledger and ECS. What can't be asked is named in the evidence, and no error is raised."""
    traffic, traffic_remark = _traffic(rollback, ports)
    plan = rollback.plan
    if plan is None:
        remark = "the rollback ended before its plan"
        return Evidence(traffic=traffic, traffic_remark=traffic_remark, definitions_remark=remark)
    previous, previous_remark = find_definition(plan.running, ports)
    target, target_remark = find_definition(plan.target, ports)
    return Evidence(
        traffic=traffic,
        traffic_remark=traffic_remark,
        previous_definition=previous,
        target_definition=target,
        definitions_remark="; ".join(remark for remark in (previous_remark, target_remark) if remark),
    )


def _traffic(rollback: Rollback, ports: EvidencePorts) -> tuple[tuple[TrafficMinute, ...] | None, str]:
    service = ports.settings.service(rollback.service_name)
    counts_balancer_errors = service.load_balancer_shared is False
    since, until = window_to_measure(rollback, ports.clock.now())
    try:
        target_groups = _target_groups(rollback, service, ports)
        if not target_groups:
            return None, "the service has no load balancer"
        minutes = ports.alarms.traffic(target_groups, since, until, with_balancer_errors=counts_balancer_errors)
    except _FAILURES as failure:
        return None, f"the load balancer's metrics could not be read: {failure}"
    if minutes is None:
        return None, "the service has a network load balancer, which counts no requests"
    if not minutes:
        return None, "CloudWatch has no data of the load balancer in this time"
    if counts_balancer_errors:
        return minutes, ""
    return minutes, (
        "Errors of the load balancer itself are not counted, because other services share it or may share it. "
        "Requests that found no healthy target are missing"
    )


def _target_groups(rollback: Rollback, service: ServiceSettings, ports: HasServices) -> tuple[str, ...]:
    """Return the target groups that the releases recorded; ECS is asked for releases without any."""
    plan = rollback.plan
    releases = (plan.running, plan.target) if plan is not None else ()
    recorded = [arn for release in releases if release is not None for arn in release.health_checks]
    return tuple(dict.fromkeys(recorded)) or ports.services.describe(service).target_groups
