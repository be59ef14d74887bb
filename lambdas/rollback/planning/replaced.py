"""The deployed revision that a rollback replaces."""

from datetime import timedelta

from rollback.domain.request import Trigger
from rollback.guards.failed_deployment import find_revision_to_replace
from rollback.planning.pipeline import PlanInputs
from rollback.planning.ports import DecisionPorts
from rollback.resources.aws.ecs_service import DeployedRevision


def revision_to_replace(inputs: PlanInputs, world: DecisionPorts) -> DeployedRevision:
    """The revision that the service is to be moved away from (`guards.failed_deployment`)."""
    rollback = inputs.rollback
    is_failed_deployment = rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None
    return find_revision_to_replace(
        inputs.view,
        failed_id=rollback.event.deployment_id if is_failed_deployment and rollback.event is not None else None,
        by_hand=rollback.trigger is Trigger.MANUAL,
        since=world.clock.now() - timedelta(minutes=world.settings.policy.correlation_window_minutes),
    )
