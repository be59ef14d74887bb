"""Rollback readiness: checks, ahead of need, that a rollback is available; kept with the standing plan.

They run after each deployment and once an hour. A check that fails here would fail a rollback at 03:00.
"""

from datetime import timedelta
from itertools import islice

from rollback.check import Check
from rollback.database.observation.readiness import judge_database
from rollback.domain.releases.release import Release
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.errors import CallRefused, ExternalServiceError, UnreadableItem, UnsupportedKind
from rollback.identity.identify import build_release, running_fingerprint, why_unresolved
from rollback.identity.target_checks import run_check, target_checks
from rollback.identity.target_groups import read_group_health
from rollback.identity.task_definition import ensure_registered_definition, read_standing_plan
from rollback.ports.holders import HasScaling, HasServices, HasTargetGroups
from rollback.promotion.alarm_readiness import alarm_checks
from rollback.promotion.image_protection import CHECK_NAME as PROTECTION_CHECK
from rollback.promotion.image_protection import check_images_protected
from rollback.promotion.ports import PreparationPorts
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.scaling_hazards import check_scaling_hazards
from rollback.resources.aws.service_shape import arn_format
from rollback.resources.aws.target_group_health import describe_inconclusive_groups

_MIN_TARGETS = 2  # targets without a failed check; the newest may be the running release
_MAX_CHECKED_RELEASES = 5  # promoted releases: some may have lost the copy of their definition, or not be ready


def prepare_standing_plan(
    service_name: str, ports: PreparationPorts, about_to_be_promoted: Release | None = None
) -> StandingPlan:
    """Compute the standing plan with its checks, and register the definitions of its targets.

    Args:
        service_name: name of the service.
        ports: access to AWS, Neon and the ledger.
        about_to_be_promoted: a release that counts as promoted already, so that its state can be set last.

    Raises:
        ExternalServiceError: ECS or the ledger do not answer, or the newest target can't be registered. The present
            standing plan stays.
    """
    ports = ports.for_readiness_checks()
    service = ports.settings.service(service_name)
    try:
        view = ports.services.describe(service)
    except UnsupportedKind as unsupported:
        return _refuse_kind(service_name, unsupported, ports)
    running = running_fingerprint(view, service, ports)
    targets = _standing_targets(service_name, about_to_be_promoted, view, running, ports)
    plan = StandingPlan(service=service_name, targets=targets, computed_at=ports.clock.now())
    newest = plan.newest_other(running) or next(iter(targets), None)
    checks = (
        _check_has_target(targets),
        *(newest.checks if newest is not None else ()),
        *((_check_target_is_ready(plan, running),) if targets else ()),
        *_check_protection(newest, ports),
        arn_format(view.arn),
        run_check("target-groups-are-in-use", lambda: _check_target_groups(view, ports)),
        run_check("nothing-starts-tasks", lambda: _check_fence_holds(service, ports)),
        *_check_running_is_known(view, service, ports),
        _check_circuit_breaker(view),
        _check_container_insights(service, ports),
        *alarm_checks(service, view, ports),
    )
    plan = plan.model_copy(update={"readiness": checks})
    plan = judge_database(plan, view, ports)  # last: an observation of the database may be made at this moment
    ports.ledger.put_standing_plan(plan)
    return plan


def _refuse_kind(service_name: str, unsupported: UnsupportedKind, ports: PreparationPorts) -> StandingPlan:
    """Store a failed check, so that no rollback counts as available. The targets stay."""
    now = ports.clock.now()
    present = read_standing_plan(service_name, ports) or StandingPlan(service=service_name, computed_at=now)
    checks = (Check.failed("service-is-supported", str(unsupported)),)
    plan = present.model_copy(update={"readiness": checks, "computed_at": now})
    ports.ledger.put_standing_plan(plan)
    return plan


def prepare_standing_plan_if_due(service_name: str, ports: PreparationPorts) -> StandingPlan | None:
    """Compute the standing plan if the present one is older than `readiness_minutes`; None: it is not due."""
    standing_plan = read_standing_plan(service_name, ports)
    interval = timedelta(minutes=ports.settings.policy.readiness_minutes)
    if (
        standing_plan is not None
        and ports.clock.now() - standing_plan.computed_at < interval
        and standing_plan.readiness
    ):
        return None
    return prepare_standing_plan(service_name, ports)


def _standing_targets(
    service_name: str,
    about_to_be_promoted: Release | None,
    view: ServiceView,
    running_fingerprint: str,
    ports: PreparationPorts,
) -> tuple[StandingTarget, ...]:
    """Register and check the newest promoted releases: two, and more if one fails its checks.

    The newest is registered in the family of the last known good, whose newest revision it must stay (decision 2).
    """
    promoted_releases = list(
        islice((r for r in ports.ledger.promoted(service_name) if r.is_resolved), _MAX_CHECKED_RELEASES)
    )
    newly_promoted = about_to_be_promoted
    if newly_promoted is not None and all(
        release.fingerprint != newly_promoted.fingerprint for release in promoted_releases
    ):
        promoted_releases.append(newly_promoted)
    promoted_releases.sort(key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True)
    targets: list[StandingTarget] = []
    for release in promoted_releases:
        is_newest = not targets
        try:
            arn = ensure_registered_definition(release, ports, is_last_known_good=is_newest, newest_of_family=is_newest)
        except (KeyError, UnreadableItem):  # a release without a copy of its definition is no target
            continue
        except CallRefused:
            if is_newest:  # the present standing plan is better than one without the newest release
                raise
            continue
        checks = target_checks(release, arn, view, ports)
        targets.append(StandingTarget(release=release, definition_arn=arn, checks=checks))
        possible_targets = [target for target in targets if target.is_ready is not False]
        other_targets = [target for target in possible_targets if target.release.fingerprint != running_fingerprint]
        if len(possible_targets) >= _MIN_TARGETS and other_targets:
            break
    return tuple(targets)


def _check_protection(target: StandingTarget | None, ports: PreparationPorts) -> tuple[Check, ...]:
    if target is None:
        return ()
    return (run_check(PROTECTION_CHECK, lambda: check_images_protected(target.release, ports)),)


def _check_has_target(targets: tuple[StandingTarget, ...]) -> Check:
    if not targets:
        reason = "no release is promoted: there is no target"
        return Check.failed("promoted-release-exists", reason)
    release = targets[0].release
    promoted_at = f"{release.state_since:%Y-%m-%d %H:%M} UTC"
    reason = f"{release.version}, promoted on {promoted_at}, registered as {_short_arn(targets[0])}"
    return Check.passed("promoted-release-exists", reason)


def _check_target_is_ready(plan: StandingPlan, running_fingerprint: str) -> Check:
    """Check which target a rollback would take now; a warning if it is not the last known good."""
    name, newest = "usable-target-exists", plan.newest_other(running_fingerprint)
    targets = plan.usable_targets(running_fingerprint)
    if newest is None:
        reason = f"none yet: {plan.targets[0].release.version} is the only promoted release"
        return Check.skipped(name, reason)
    if not targets:
        reason = f"{newest.release.version} is not ready, and no other target release is ready"
        return Check.failed(name, reason)
    if targets[0] is not newest:
        reason = (
            f"{newest.release.version} can't be run, or was not checked; a rollback would take "
            f"{targets[0].release.version}"
        )
        return Check.warned(name, reason)
    return Check.passed(name, f"to {newest.release.version}")


def _check_target_groups(view: ServiceView, ports: HasTargetGroups) -> Check:
    """Check for target groups whose targets' health says nothing about a release."""
    name = "target-groups-are-in-use"
    if not view.target_groups:
        return Check.skipped(name, "the service has no target group")
    inconclusive_groups = describe_inconclusive_groups(read_group_health(view, ports))
    if inconclusive_groups:
        reason = (
            f"{inconclusive_groups}; the health of such a group says nothing about a release: remove the group from "
            "the service, or give it a listener"
        )
        return Check.warned(name, reason)
    return Check.passed(name, "a load balancer routes to each target group")


def _check_fence_holds(service: ServiceSettings, ports: HasScaling) -> Check:
    return check_scaling_hazards(service, ports.scaling.predictive_policies(service))


def _check_running_is_known(view: ServiceView, service: ServiceSettings, ports: HasServices) -> tuple[Check, ...]:
    """Warn if the running release can't be recorded: then it can't be promoted, and is no target later."""
    running = build_release(view.primary.deployed, view, service, ports).release
    if running.is_resolved:
        return ()
    reason = f"{running.version} runs, and can't be recorded: {why_unresolved(running)}"
    return (Check.warned("running-release-is-known", reason),)


def _check_circuit_breaker(view: ServiceView) -> Check:
    name = "circuit-breaker-is-on"
    if view.deployment_configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        return Check.passed(name, "the circuit breaker is on: ECS reports failed deployments")
    reason = "the circuit breaker is off: ECS reports no failed deployment; switch it on"
    return Check.warned(name, reason)


def _check_container_insights(service: ServiceSettings, ports: HasServices) -> Check:
    name = "container-insights-is-on"
    try:
        is_on = ports.services.has_container_insights(service.cluster)
    except ExternalServiceError as failure:
        return Check.warned(name, f"not checked: {failure}")
    if is_on:
        return Check.passed(name, "Container Insights is on: the alarm about missing tasks has data")
    reason = f"Container Insights is off on {service.cluster}: the alarm about missing tasks has no data; switch it on"
    return Check.warned(name, reason)


def _short_arn(target: StandingTarget) -> str:
    return target.definition_arn.rsplit("/", 1)[-1]
