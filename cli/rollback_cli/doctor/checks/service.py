"""The ECS service itself: stable, judged by ECS, and with room for a deployment."""

from functools import partial

from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import UnsupportedKind
from rollback.identity.target_groups import read_group_health
from rollback.resources.aws.target_group_health import GroupState
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import SUPPORT_CHECK, Finding, Group, Question, Reporter


def service_questions(x: Examination) -> list[Question]:
    """Ask about each service."""
    return [
        question(Group.SERVICE, f"{name}-{service.name}", partial(ask, service, x))
        for service in x.settings.services
        for name, ask in (
            (SUPPORT_CHECK, _supported),
            ("service-is-stable", _stable),
            ("circuit-breaker-is-on", _circuit_breaker),
            ("deployments-have-room", _room),
            ("container-insights-is-on", _container_insights),
            ("target-groups-are-in-use", _target_groups),
        )
    ]


def _supported(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    """Check that a rollback can deploy the service; the other questions can't be asked about other kinds."""
    try:
        x.ports.services.describe(service)
    except UnsupportedKind as unsupported:
        return report.failed(str(unsupported), "do what the text says: no rollback can deploy the service as it is")
    return report.passed("ECS deploys the service by its rolling update, as a REPLICA service")


def _stable(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    view = x.ports.services.describe(service)
    if view.desired_count == 0:
        return report.warned("the desired count is 0: no release runs", "deploy a release, or raise the desired count")
    reasons = view.why_not_stable
    if reasons:
        return report.warned("; ".join(reasons), f"run `rollback status {x.environment}` once the deployment has ended")
    return report.passed(f"{view.running_count} of {view.desired_count} tasks run, and the rollout is COMPLETED")


def _circuit_breaker(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    configuration = x.ports.services.describe(service).deployment_configuration
    if (configuration.get("deploymentCircuitBreaker") or {}).get("enable"):
        return report.passed("the circuit breaker is on: ECS reports failed deployments")
    return report.failed(
        "the circuit breaker is off: no failed deployment starts a rollback",
        "switch deploymentCircuitBreaker on in the service's definition, and deploy the service",
    )


def _room(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    """Check the two percentages. ECS's defaults are 100 and 200 (API reference, DeploymentConfiguration)."""
    view = x.ports.services.describe(service)
    minimum = view.deployment_configuration.get("minimumHealthyPercent", 100)
    maximum = view.deployment_configuration.get("maximumPercent", 200)
    seen = f"minimumHealthyPercent is {minimum}, maximumPercent is {maximum}, the desired count is {view.desired_count}"
    count = max(view.desired_count, 1)
    # ECS rounds the minimum up and the maximum down (ECS developer guide, "Service definition parameters").
    if count * maximum // 100 <= count and -(-count * minimum // 100) >= count:
        to_do = "raise maximumPercent to 200: ECS may neither start a new task nor stop an old task"
        return report.failed(f"{seen}: no deployment can make progress", to_do)
    if minimum == 0:
        to_do = "raise minimumHealthyPercent: every deployment may stop all tasks first"
        return report.warned(seen, to_do)
    return report.passed(seen)


def _container_insights(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    if x.ports.services.has_container_insights(service.cluster):
        return report.passed(f"Container Insights is on for {service.cluster}: the task-shortfall alarm has data")
    return report.failed(
        f"Container Insights is off for {service.cluster}: the task-shortfall alarm has no data",
        f"aws ecs update-cluster-settings --cluster {service.cluster} --settings name=containerInsights,value=enabled",
    )


def _target_groups(service: ServiceSettings, x: Examination, report: Reporter) -> Finding:
    view = x.ports.services.describe(service)
    if view.classic_load_balancers:
        names = ", ".join(view.classic_load_balancers)
        to_do = "use an Application or Network Load Balancer, or go on without counted requests"
        return report.warned(f"Classic Load Balancer {names} is not looked at", to_do)
    if not view.target_groups:
        return report.passed("the service has no load balancer, so its requests are not counted: its tasks are judged")
    groups = read_group_health(view, x.ports)
    to_do = "remove the group from the service, or give the group a listener"
    unused = [f"{group.name}: {group.state}" for group in groups if group.state is not GroupState.CHECKED]
    if unused:
        return report.failed(f"target groups that no load balancer checks: {', '.join(unused)}", to_do)
    dead = [group.name for group in groups if not group.healthy]
    if dead and view.desired_count:
        return report.failed(
            f"no healthy target in {', '.join(dead)}", f"run `rollback status {x.environment}`: the service is down now"
        )
    return report.passed(f"{sum(group.healthy for group in groups)} healthy targets in {len(groups)} target groups")
