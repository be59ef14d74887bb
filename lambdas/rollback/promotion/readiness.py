"""Rollback readiness: is there a way back, now, before it is needed? Kept with the standing plan.

Looked at after each deployment and once an hour. What fails here fails a rollback at 03:00.
"""

from datetime import timedelta
from itertools import islice

from rollback.check import Check
from rollback.database.observation.readiness import judge_database
from rollback.domain.releases.release import Release
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.errors import CallRefused, ExternalServiceError, UnreadableItem
from rollback.identity.identify import build_release, running_fingerprint, why_unresolved
from rollback.identity.target_checks import run_check, target_checks
from rollback.identity.target_groups import read_group_health
from rollback.identity.task_definition import ensure_registered_definition, standing_plan
from rollback.ports.world import World
from rollback.promotion.alarm_readiness import alarm_checks
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.scaling_hazards import check_scaling_hazards
from rollback.resources.aws.service_shape import arn_format
from rollback.resources.aws.target_group_health import describe_inconclusive_groups

_TARGETS = 2  # that could be run, as far as is known; the newest may be what runs
_MOST_CHECKED = 5  # promoted releases, of which some may have lost the copy of their definition, or not be ready


def prepare_standing_plan(service_name: str, world: World, about_to_be_promoted: Release | None = None) -> StandingPlan:
    """Compute the standing plan anew, definitions registered ahead of need, and look whether it would work.

    Args:
        about_to_be_promoted: counted as promoted already, so that its state can be moved last.

    Raises:
        ExternalServiceError: ECS or the ledger do not answer, or the newest can't be registered; the plan that stands
        stays.
    """
    world = world.for_readiness_checks()
    service = world.settings.service(service_name)
    view = world.services.describe(service)
    running = running_fingerprint(view, service, world)
    targets = _standing_targets(service_name, about_to_be_promoted, view, running, world)
    plan = StandingPlan(service=service_name, targets=targets, computed_at=world.clock.now())
    newest = plan.newest_other(running) or next(iter(targets), None)
    checks = (
        _check_has_target(targets),
        *(newest.checks if newest is not None else ()),
        *((_check_target_is_ready(plan, running),) if targets else ()),
        arn_format(view.arn),
        run_check("target-groups", lambda: _check_target_groups(view, world)),
        run_check("nothing-starts-tasks", lambda: _check_fence_holds(service, world)),
        *_check_running_is_known(view, service, world),
        _check_circuit_breaker(view),
        _check_container_insights(service, world),
        *alarm_checks(service, view, world),
    )
    plan = plan.model_copy(update={"readiness": checks})
    plan = judge_database(plan, view, world)  # last: the next look may be made at this moment
    world.ledger.put_standing_plan(plan)
    return plan


def prepare_standing_plan_if_due(service_name: str, world: World) -> StandingPlan | None:
    """Once in `readiness_minutes`; None: not due."""
    standing = standing_plan(service_name, world)
    every = timedelta(minutes=world.settings.policy.readiness_minutes)
    if standing is not None and world.clock.now() - standing.computed_at < every and standing.readiness:
        return None
    return prepare_standing_plan(service_name, world)


def _standing_targets(
    service_name: str, also: Release | None, view: ServiceView, running_fingerprint: str, world: World
) -> tuple[StandingTarget, ...]:
    """The newest promoted releases, each with a registered definition and its checks: two, and more where one fails.

    The newest is registered in the last known good's own family, whose newest revision it must stay (decision 2).
    """
    good = list(islice((r for r in world.ledger.promoted(service_name) if r.is_resolved), _MOST_CHECKED))
    if also is not None and all(r.fingerprint != also.fingerprint for r in good):
        good.append(also)
    good.sort(key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True)
    targets: list[StandingTarget] = []
    for release in good:
        newest = not targets
        try:
            arn = ensure_registered_definition(release, world, is_last_known_good=newest, newest_of_family=newest)
        except (KeyError, UnreadableItem):  # without a copy of its definition it can be no target
            continue
        except CallRefused:
            if newest:  # whatever is refused, the plan that stands is better than one without it
                raise
            continue
        checks = target_checks(release, arn, view, world)
        targets.append(StandingTarget(release=release, definition_arn=arn, checks=checks))
        possible = [target for target in targets if target.is_ready is not False]
        others = [target for target in possible if target.release.fingerprint != running_fingerprint]
        if len(possible) >= _TARGETS and others:
            break
    return tuple(targets)


def _check_has_target(targets: tuple[StandingTarget, ...]) -> Check:
    if not targets:
        reason = "no release was promoted: there is nothing to go back to"
        return Check.failed("target-exists", reason)
    good = targets[0].release
    reason = (
        f"{good.version}, promoted on {good.state_since:%Y-%m-%d %H:%M} UTC, registered as {_short_arn(targets[0])}"
    )
    return Check.passed("target-exists", reason)


def _check_target_is_ready(plan: StandingPlan, running_fingerprint: str) -> Check:
    """Which target a rollback would take now: another than the last known good, where that can't be run."""
    name, newest = "way-back", plan.newest_other(running_fingerprint)
    ways = plan.ways_back(running_fingerprint)
    if newest is None:
        reason = "what runs is the only promoted release: there is a way back from the next one"
        return Check.skipped(name, reason)
    if not ways:
        reason = f"{newest.release.version} is not ready, and there is no other target that is"
        return Check.failed(name, reason)
    if ways[0] is not newest:
        reason = f"{newest.release.version} can't be run, or that is not known; {ways[0].release.version} is next"
        return Check.warned(name, reason)
    return Check.passed(name, f"to {newest.release.version}")


def _check_target_groups(view: ServiceView, world: World) -> Check:
    """Groups whose targets say nothing of a release: nobody finds out by their health."""
    name = "target-groups"
    if not view.target_groups:
        return Check.skipped(name, "the service has no target group")
    silent = describe_inconclusive_groups(read_group_health(view, world))
    if silent:
        reason = f"{silent}; its targets say nothing of a release: take it out of the service, or give it a listener"
        return Check.warned(name, reason)
    return Check.passed(name, "a load balancer routes to each")


def _check_fence_holds(service: ServiceSettings, world: World) -> Check:
    return check_scaling_hazards(service, world.scaling.predictive_policies(service))


def _check_running_is_known(view: ServiceView, service: ServiceSettings, world: World) -> tuple[Check, ...]:
    """Said where it is not: such a release is neither recorded nor promoted, and no other can go back to it."""
    found = build_release(view.primary.deployed, view, service, world).release
    if found.is_resolved:
        return ()
    reason = f"{found.version} runs, and can't be recorded: {why_unresolved(found)}"
    return (Check.warned("running-release-is-known", reason),)


def _check_circuit_breaker(view: ServiceView) -> Check:
    name = "circuit-breaker"
    if view.deployment_configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        return Check.passed(name, "on: ECS tells when a deployment fails")
    reason = "off: ECS reports failed deployments only where it is on; switch it on"
    return Check.warned(name, reason)


def _check_container_insights(service: ServiceSettings, world: World) -> Check:
    name = "container-insights"
    try:
        on = world.services.has_container_insights(service.cluster)
    except ExternalServiceError as failure:
        return Check.warned(name, f"could not be asked: {failure}")
    if on:
        return Check.passed(name, "on: the alarm about missing tasks has data")
    reason = f"off on {service.cluster}: the alarm about missing tasks has no data; switch it on"
    return Check.warned(name, reason)


def _short_arn(target: StandingTarget) -> str:
    return target.definition_arn.rsplit("/", 1)[-1]
