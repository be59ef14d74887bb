"""Evidence for the rules of drills, from the ledger, ECS, CloudWatch and the registry.

A question without an answer is a failed check: a drill is never urgent.
"""

from collections.abc import Callable, Iterator

from rollback.check import Check
from rollback.domain.drills import drill_rules as rules
from rollback.domain.releases.release import Release
from rollback.domain.standing_plan import StandingPlan
from rollback.drills.ports import DrillPlanPorts
from rollback.errors import ExternalServiceError
from rollback.names import DESIRED_COUNT_CHECK, degraded_alarm, outage_alarm
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.task_definition import is_pinned


def drill_checks(
    running: Release, view: ServiceView, standing_plan: StandingPlan | None, ports: DrillPlanPorts
) -> tuple[Check, ...]:
    """Run every check that a drill needs, in a fixed order."""
    policy, now = ports.settings.policy, ports.clock.now()
    return (
        _check_nothing_open(running.service, ports),
        rules.check_release_is_proven(running, policy, now),
        rules.check_rollback_target(running, standing_plan),
        rules.check_no_deployment(view),
        rules.check_capacity(view),
        *_desired_count(view),
        _answered("no-alarm-is-in-alarm", lambda: _check_alarms(running.service, ports)),
        *_image_checks(running, view, ports),
    )


def _check_nothing_open(service_name: str, ports: DrillPlanPorts) -> Check:
    obligations = ports.ledger.obligations(service_name)
    count = len(obligations.items) + len(obligations.unreadable)
    return rules.check_nothing_open(ports.settings.environment, service_name, ports.ledger.pause(service_name), count)


def _desired_count(view: ServiceView) -> tuple[Check, ...]:
    """Record the count, from which the service step sees that the team scaled the service to zero meanwhile."""
    if view.desired_count == 0:
        return ()
    evidence = {"desired_count": view.desired_count}
    return (Check.passed(DESIRED_COUNT_CHECK, f"the desired count is {view.desired_count}", evidence=evidence),)


def _check_alarms(service_name: str, ports: DrillPlanPorts) -> Check:
    prefix = ports.settings.prefix
    names = (degraded_alarm(prefix, service_name), outage_alarm(prefix, service_name))
    return rules.check_no_alarm(ports.alarms.states(names), names)


def _image_checks(running: Release, view: ServiceView, ports: DrillPlanPorts) -> Iterator[Check]:
    """Check each container whose image the definition names by tag: ECS resolves the tag again at each deployment.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html (image resolution).
    """
    raw = ports.services.definition(view.primary.definition_arn)
    own = ports.settings.service(running.service).container
    for container in raw["containerDefinitions"] if raw is not None else ():
        name, reference = str(container["name"]), str(container["image"])
        if not is_pinned(reference):
            yield _answered(
                f"image-is-unchanged {name}",
                lambda name=name, reference=reference: rules.check_same_image(  # type: ignore[misc]
                    name,
                    reference,
                    running.images.get(name, ""),
                    ports.images.digest_of(reference),
                    is_own=name == own,
                ),
            )


def _answered(name: str, question: Callable[[], Check]) -> Check:
    try:
        return question()
    except ExternalServiceError as failure:
        return Check.failed(name, f"not checked: {failure}")
