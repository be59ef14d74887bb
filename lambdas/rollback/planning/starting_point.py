"""Starting point of a plan: the release to replace, a rollback to resume, a restore of another rollback to wait for."""

from datetime import timedelta

from rollback.domain.releases.newer_release import DeploymentStatus
from rollback.domain.request import DATABASE_TYPES, OPERATOR_TRIGGERS, Trigger
from rollback.domain.rollback import Rollback
from rollback.guards.failed_deployment import find_revision_to_replace
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts
from rollback.planning.ports import DecisionPorts
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.service.newer_deployment import newer_release
from rollback.service.ports import NewerReleasePorts


def revision_to_replace(rollback: Rollback, view: ServiceView, world: DecisionPorts) -> DeployedRevision:
    """The revision that the service is to be moved away from (`guards.failed_deployment`)."""
    is_failed_deployment = rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None
    return find_revision_to_replace(
        view,
        failed_id=rollback.event.deployment_id if is_failed_deployment and rollback.event is not None else None,
        by_hand=rollback.trigger is Trigger.MANUAL,
        since=world.clock.now() - timedelta(minutes=world.settings.policy.correlation_window_minutes),
    )


def why_wait_for_other_restore(rollback: Rollback, world: LeasePorts) -> str | None:
    """Return the reason to wait before the database is planned; None: no change of the other rollback is pending.

    The other's Conclude gives up after half of its time limit, and records that the outcome is not known. After the
    whole limit no outcome will come: the plan then assumes that the other's restore was made.
    """
    if rollback.supersedes is None or rollback.request.type not in DATABASE_TYPES:
        return None
    before = find_rollback(rollback.supersedes, world)
    if before is None or before.database is None or not before.database.has_unanswered_change:
        return None
    since = rollback.admitted_at or rollback.created_at
    if world.clock.now() - since > timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
        return None
    return f"{before.id} has sent a change of the database: the plan is made once Neon has reported its outcome"


def find_rollback_to_resume(rollback: Rollback, view: ServiceView, world: NewerReleasePorts) -> Rollback | None:
    """The rollback that was taken over and whose plan is kept; None: the plan is made again.

    A plan is kept once its rollback has begun to act; an operator's plan is kept as soon as it stands. PRIMARY may run
    that plan's target already, and a step back from there would be one too many. The rollback may have ended since it
    found its lease lost.

    An operator who names a version gets that version. A release that the team deployed after the kept plan was made is
    judged again, unless the database was changed or the service is fenced.
    """
    if rollback.supersedes is None or rollback.request.target_version is not None:
        return None
    earlier = find_rollback(rollback.supersedes, world)
    if earlier is None or earlier.plan is None or earlier.plan.target is None:
        return None
    was_stopped = earlier.superseded_by == rollback.id or earlier.is_aborted_midway
    if earlier.outcome is not None and not was_stopped:
        return None
    if not earlier.has_changed_data and not earlier.is_fenced:
        newer, standing = newer_release(earlier, view, world)
        if newer is not None and standing is not DeploymentStatus.FAILED:
            return None
    has_begun = (
        earlier.has_moved_service
        or earlier.has_changed_data
        or (earlier.service is not None and earlier.service.intent is not None)
    )
    return earlier if has_begun or earlier.trigger in OPERATOR_TRIGGERS else None
