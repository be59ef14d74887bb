"""Rules of drills: reasons why a service is not restarted now. A drill starts on a healthy, idle service only."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollback.check import Check
from rollback.domain.operator import Pause
from rollback.domain.releases.release import Release
from rollback.domain.settings.policy import Policy
from rollback.domain.standing_plan import StandingPlan
from rollback.resources.aws.ecs_service import IN_FLIGHT, ServiceView

_FULL_PERCENT = 100
_DEFAULT_MAXIMUM_PERCENT = 200  # ECS API reference, DeploymentConfiguration: for services of type REPLICA


def check_release_is_proven(running: Release, policy: Policy, now: datetime) -> Check:
    """Check that an alarm of the drill's own making can't roll the running release back (rule 7).

    The rule of automatic rollbacks suppresses an alarm if the release is promoted, and older than the window.
    """
    objection = None
    if not running.is_proven_and_old(now, policy.correlation_window_minutes):
        objection = (
            f"{running.version} is {running.state}, first deployed at {running.first_deployed_at:%Y-%m-%d %H:%M} UTC. "
            "A drill needs a promoted release that is older than the correlation window of "
            f"{policy.correlation_window_minutes:g} minutes: no alarm during the drill rolls such a release back"
        )
    return Check.failed_if(objection, "running-release-is-proven", f"{running.version} is promoted, and old enough")


def check_rollback_target(running: Release, standing_plan: StandingPlan | None) -> Check:
    """Check that a real rollback would have a target that ECS could start now."""
    name = "rollback-target-is-ready"
    target = standing_plan.target_for(running.fingerprint) if standing_plan is not None else None
    if standing_plan is None or target is None:
        return Check.failed(name, f"there is no release to roll back to from {running.version}")
    if not standing_plan.is_ready or target.is_ready is not True:
        reasons = target.why_not_ready or "the readiness of the standing plan is not known, or a check of it failed"
        return Check.failed(name, f"{target.release.version} could not be started now: {reasons}")
    return Check.passed(
        name, f"a rollback would go to {target.release.version}", evidence={"target": target.release.version}
    )


def check_no_alarm(states: Mapping[str, str], names: tuple[str, ...]) -> Check:
    """Check that the service's alarms exist, and that none is in ALARM."""
    name, missing = "no-alarm-is-in-alarm", [alarm for alarm in names if alarm not in states]
    in_alarm = [alarm for alarm in names if states.get(alarm) == "ALARM"]
    objection = f"in ALARM: {', '.join(in_alarm)}" if in_alarm else None
    if missing:
        objection = f"without these alarms no real incident could end the drill: {', '.join(missing)} not found"
    return Check.failed_if(objection, name, "no alarm of the service is in ALARM", evidence=dict(states))


def check_no_deployment(view: ServiceView) -> Check:
    """Check that no deployment runs, and that PRIMARY runs alone and complete."""
    problems = list(view.why_not_stable)
    if view.newest is not None and view.newest.status in IN_FLIGHT:
        problems.insert(0, f"a deployment is {view.newest.status}")
    objection = f"{', '.join(problems)}: wait until the deployment has ended" if problems else None
    return Check.failed_if(objection, "no-deployment-runs", "PRIMARY is complete and alone")


def check_capacity(view: ServiceView) -> Check:
    """Check that ECS starts the new tasks before it stops old ones, so that the capacity never drops.

    ECS keeps `minimumHealthyPercent` of the desired count running, and starts new tasks within `maximumPercent` (ECS
    developer guide, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html).
    """
    configuration: Mapping[str, Any] = view.deployment_configuration
    minimum = int(configuration.get("minimumHealthyPercent", _FULL_PERCENT))
    maximum = int(configuration.get("maximumPercent", _DEFAULT_MAXIMUM_PERCENT))
    objection = None
    if view.desired_count == 0:
        objection = "the desired count is 0: there is no task to restart"
    elif minimum < _FULL_PERCENT:
        objection = f"minimumHealthyPercent is {minimum}: ECS would stop tasks before their replacements run"
    elif view.desired_count * maximum // 100 <= view.desired_count:
        objection = f"maximumPercent is {maximum}: ECS could start no task beside the {view.desired_count} that run"
    evidence = {"desired_count": view.desired_count, "minimum": minimum, "maximum": maximum}
    return Check.failed_if(objection, "capacity-never-drops", "ECS starts new tasks first", evidence=evidence)


def check_nothing_open(environment: str, service: str, pause: Pause | None, obligations: int) -> Check:
    """Check that no operator works on the service, and that no setting waits to be restored."""
    objection = None
    if pause is not None:
        objection = f"{pause.by} paused automatic rollbacks of {service}: {pause.reason}"
    elif obligations:
        objection = f"{obligations} rollbacks of {service} have settings to restore: run rollback status {environment}"
    return Check.failed_if(objection, "nothing-else-is-open", "no pause, and no setting to restore")


def check_same_image(container: str, reference: str, recorded: str, resolved: str | None, *, is_own: bool) -> Check:
    """Check that a new task gets the image that runs now, although the definition names the image by tag.

    Args:
        container: name of the container.
        reference: image in the task definition.
        recorded: image by digest that the running release has.
        resolved: image by digest to which the registry resolves the reference now; None: not visible.
        is_own: whether the container is the service's own.
    """
    name = f"image-is-unchanged {container}"
    if resolved is None:
        reason = f"the digest of {reference} can't be read, so a restart may bring another image"
        return Check.failed(name, reason) if is_own else Check.warned(name, reason)
    if resolved.rpartition("@")[2] != recorded.rpartition("@")[2]:
        return Check.failed(name, f"{reference} is another image now than the one that runs: a restart would deploy it")
    return Check.passed(name, f"{reference} is still the image that runs")
