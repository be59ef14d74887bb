"""Rollback readiness: is there a way back, now, before it is needed? Kept with the standing plan.

Looked at after each deployment and once an hour. What fails here fails a rollback at 03:00.
"""

from datetime import timedelta
from itertools import islice
from typing import Any

from rollback.model.check import Check, Verdict
from rollback.model.errors import OutsideFailure, UnreadableItem
from rollback.model.release import Release
from rollback.model.service_view import ServiceView
from rollback.model.settings import ServiceSettings
from rollback.model.standing_plan import StandingPlan, StandingTarget
from rollback.steps.alarm_readiness import alarm_checks
from rollback.steps.database_readiness import with_database
from rollback.steps.definition import registered_definition, standing_plan
from rollback.steps.plan import images_check
from rollback.steps.ports import World
from rollback.steps.running import fingerprint_of

_TARGETS = 2  # the newest may be what runs
_LOOKED_AT = 5  # promoted releases, of which some may have lost the copy of their definition


def prepare(service_name: str, world: World, about_to_be_promoted: Release | None = None) -> StandingPlan:
    """Compute the standing plan anew, definitions registered ahead of need, and look whether it would work.

    Args:
        about_to_be_promoted: counted as promoted already, so that its state can be moved last.

    Raises:
        OutsideFailure: ECS or the ledger do not answer; the plan that stands stays.
    """
    service = world.settings.service(service_name)
    view = world.services.look(service)
    targets = _standing_targets(service_name, about_to_be_promoted, world)
    checks = (
        _has_target(targets),
        *(_about_target(_way_back(targets, view, world), view, world) if targets else ()),
        _circuit_breaker(view),
        _container_insights(service, world),
        *alarm_checks(service, view, world),
    )
    plan = StandingPlan(service=service_name, targets=targets, readiness=checks, computed_at=world.clock.now())
    plan = with_database(plan, view, world)  # last: the next look may be made at this moment
    world.ledger.put_standing_plan(plan)
    return plan


def prepare_if_due(service_name: str, world: World) -> StandingPlan | None:
    """Once in `readiness_minutes`; None: not due."""
    standing = standing_plan(service_name, world)
    every = timedelta(minutes=world.settings.policy.readiness_minutes)
    if standing is not None and world.clock.now() - standing.computed_at < every and standing.readiness:
        return None
    return prepare(service_name, world)


def _standing_targets(service_name: str, also: Release | None, world: World) -> tuple[StandingTarget, ...]:
    """The newest promoted releases, each with a registered definition.

    The newest is registered in the last known good's own family, whose newest revision it must stay (decision 2).
    """
    good = list(islice((r for r in world.ledger.promoted(service_name) if r.is_resolved), _LOOKED_AT))
    if also is not None and all(r.fingerprint != also.fingerprint for r in good):
        good.append(also)
    good.sort(key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True)
    targets: list[StandingTarget] = []
    for release in good:
        newest = not targets
        try:
            arn = registered_definition(release, world, is_last_known_good=newest, newest_of_family=newest)
        except (KeyError, UnreadableItem):  # without a copy of its definition it can be no target
            continue
        targets.append(StandingTarget(release=release, definition_arn=arn))
    return tuple(targets[:_TARGETS])


def _way_back(targets: tuple[StandingTarget, ...], view: ServiceView, world: World) -> StandingTarget:
    """From what runs now; the newest, if that is all there is."""
    running = fingerprint_of(view.primary.definition_arn, view, world)
    return next((target for target in targets if target.release.fingerprint != running), targets[0])


def _has_target(targets: tuple[StandingTarget, ...]) -> Check:
    if not targets:
        reason = "no release was promoted: there is nothing to go back to"
        return Check(name="target-exists", verdict=Verdict.FAIL, reason=reason)
    good = targets[0].release
    reason = f"{good.version}, promoted on {good.state_since:%Y-%m-%d %H:%M} UTC, registered as {_short(targets[0])}"
    return Check(name="target-exists", verdict=Verdict.PASS, reason=reason)


def _about_target(target: StandingTarget, view: ServiceView, world: World) -> tuple[Check, ...]:
    return (
        _asked("image-exists", lambda: images_check(target.release, world)),
        _asked("secrets-exist", lambda: _secrets(target, world)),
        _asked("health-check-unchanged", lambda: _health_checks(target.release, view, world)),
    )


def _asked(name: str, question: Any) -> Check:
    """What can't be asked is a warning: it says nothing against the way back."""
    try:
        answer: Check = question()
    except OutsideFailure as failure:
        return Check(name=name, verdict=Verdict.WARN, reason=f"could not be asked: {failure}")
    return answer


def _secrets(target: StandingTarget, world: World) -> Check:
    """ECS resolves them when a task starts: one that is gone keeps the target from starting."""
    name, raw = "secrets-exist", world.services.definition(target.definition_arn)
    containers = raw["containerDefinitions"] if raw is not None else []
    wanted = sorted({s["valueFrom"] for container in containers for s in container.get("secrets", ())})
    if not wanted:
        return Check(name=name, verdict=Verdict.PASS, reason="the target refers to none")
    found = {value: world.secrets.exists(value) for value in wanted}
    missing = [value for value, there in found.items() if there is False]
    unseen = [value for value, there in found.items() if there is None]
    if missing:
        return Check(name=name, verdict=Verdict.FAIL, reason=f"gone: {', '.join(missing)}; put them back")
    if unseen:
        return Check(name=name, verdict=Verdict.WARN, reason=f"can't be looked up: {', '.join(unseen)}")
    return Check(name=name, verdict=Verdict.PASS, reason=f"all {len(wanted)} are there")


def _health_checks(release: Release, view: ServiceView, world: World) -> Check:
    """The target group stays on its new values after a rollback: a path that the old release lacks fails it."""
    name = "health-check-unchanged"
    if not release.health_checks:
        return Check(name=name, verdict=Verdict.SKIPPED, reason="none was recorded with the release")
    now = world.targets.health_checks(view.target_groups)
    differ = [
        f"{arn.rsplit('/', 2)[-2]}: {part} was {was!r}, is {now[arn].get(part)!r}"
        for arn, recorded in release.health_checks.items()
        if arn in now
        for part, was in recorded.items()
        if now[arn].get(part) != was
    ]
    if differ:
        reason = f"{'; '.join(differ)}: {release.version} may not pass it"
        return Check(name=name, verdict=Verdict.WARN, reason=reason)
    return Check(name=name, verdict=Verdict.PASS, reason="as it was when the release was recorded")


def _circuit_breaker(view: ServiceView) -> Check:
    name = "circuit-breaker"
    if view.deployment_configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        return Check(name=name, verdict=Verdict.PASS, reason="on: ECS tells when a deployment fails")
    reason = "off: ECS reports failed deployments only where it is on; switch it on"
    return Check(name=name, verdict=Verdict.WARN, reason=reason)


def _container_insights(service: ServiceSettings, world: World) -> Check:
    name = "container-insights"
    try:
        on = world.services.has_container_insights(service.cluster)
    except OutsideFailure as failure:
        return Check(name=name, verdict=Verdict.WARN, reason=f"could not be asked: {failure}")
    if on:
        return Check(name=name, verdict=Verdict.PASS, reason="on: the alarm about missing tasks has data")
    reason = f"off on {service.cluster}: the alarm about missing tasks has no data; switch it on"
    return Check(name=name, verdict=Verdict.WARN, reason=reason)


def _short(target: StandingTarget) -> str:
    return target.definition_arn.rsplit("/", 1)[-1]
